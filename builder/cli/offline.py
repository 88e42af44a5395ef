"""`--offline`: the setting of that name, for one command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

Offline = Annotated[
    bool, typer.Option("--offline", help="fetch nothing; use what is on this machine and say what is missing")
]


def heed(offline: bool) -> None:  # noqa: FBT001 - the option as it is
    """Before settings are read: as a variable it also reaches the processes of `--jobs`."""
    if offline:
        os.environ["GOLDSMITH_OFFLINE"] = "true"
