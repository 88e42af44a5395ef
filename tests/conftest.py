"""For all rings."""

from hypothesis import settings

# How long an example takes is the machine's business; the ring's own limit finds what hangs.
settings.register_profile("goldsmith", deadline=None)
settings.load_profile("goldsmith")
