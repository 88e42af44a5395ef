"""The faces of the event stream."""
