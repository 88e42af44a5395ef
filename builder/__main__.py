"""`python -m builder` is `build`."""

import sys

from builder.cli import console

sys.exit(console())
