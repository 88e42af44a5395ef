"""Templates as people write them, brought into the form of the newest API version."""

from templates.lenient.newest import to_newest

__all__ = ["to_newest"]
