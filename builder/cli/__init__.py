"""One file per verb: arguments, a call, a rendering."""

from __future__ import annotations

import signal
from collections.abc import Sequence


def console() -> int:
    """The program: `main`, after which a second Ctrl-C changes its exit code no more."""
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """The `build` command: runs `argv` (default: the process's) and returns its exit code."""
    from builder.cli.app import main as run_command

    return run_command(argv)
