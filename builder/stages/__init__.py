"""The stages of a build, in order: source, customize, generalize, validate, distribute."""
