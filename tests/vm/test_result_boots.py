"""The result boots by BIOS and by UEFI, with a new user from a new seed."""

from __future__ import annotations

# Filled in when builder/vm is there.
