"""What a build does to this machine, as data: for `build plan`, before it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Deed = Literal["create", "update", "replace", "delete"]
Kind = Literal["base", "gallery", "imageDefinition", "imageVersion", "channel", "managedImage", "vhd", "file"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a build makes, updates, replaces or deletes. `name` is an ARM id, a path or, for
    a base, what the marketplace calls it; `detail` is for people.
    """

    action: Deed
    kind: Kind
    name: str
    detail: str = ""
