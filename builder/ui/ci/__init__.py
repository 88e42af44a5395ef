"""What a CI service reads: groups and annotations in its log, a summary, outputs, JUnit."""
