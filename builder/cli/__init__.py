"""One file per verb: arguments, a call, a rendering."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `build` command: runs `argv` (default: the process's) and returns its exit code."""
    from builder.cli.app import main as run_command

    return run_command(argv)
