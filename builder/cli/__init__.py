"""One file per verb: arguments, a call, a rendering."""

from __future__ import annotations

from collections.abc import Sequence


def console() -> int:
    """The program: `main`, whose exit code no late signal changes."""
    from builder.cancellation import as_program

    return as_program(main)


def main(argv: Sequence[str] | None = None) -> int:
    """The `build` command: runs `argv` (default: the process's) and returns its exit code."""
    from builder.cli.app import main as run_command

    return run_command(argv)
