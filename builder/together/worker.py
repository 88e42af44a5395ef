"""The process of one build among several: `python -m builder.together.worker`, a task on its standard input.

Events leave it by its standard output; an error that is none of a build's (there is no run yet) is one JSON
line on standard error. It is the same build as that of a command of its own: signals, record, workspace.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from builder.cancellation import as_program
from builder.together.task import Task


def main() -> int:
    """Build; returns the exit code. Raises nothing."""
    from builder.cli.errors import report

    try:
        # Events must stay alone in there, whatever a library prints.
        wire = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
        os.dup2(2, 1)
        task = Task.from_bytes(sys.stdin.buffer.read())
        if task.text is not None:
            sys.stdin = io.TextIOWrapper(io.BytesIO(task.text.encode("utf-8", "surrogatepass")))
        return _build(task, wire)
    except BaseException as error:  # this is the last frame
        return report(error, ["--json"])


def _build(task: Task, wire: TextIO) -> int:
    from builder.engine import BuildOptions
    from builder.jobs import build_job
    from builder.runs import new_run_id
    from builder.settings import Home, load_settings
    from builder.together.wire import WireSink
    from builder.ui.guarded import Guarded

    home = Home()
    home.ensure()
    settings = load_settings(home)
    job = task.job(home, settings)
    run_id = new_run_id()
    options = BuildOptions(**task.options)
    from pathlib import Path

    with Guarded(WireSink(wire, run_id)) as sink:
        result = build_job(home, settings, job, [sink], Path(task.output_dir), options, run_id)
    return int(result.exit_code)


if __name__ == "__main__":
    sys.exit(as_program(main))
