"""Packer templates read as AIB image templates, with a list of all that has no counterpart."""
