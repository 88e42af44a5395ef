"""How every error of the command is shown, and the exit code it means."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from builder.cancellation import Interrupted
from builder.download.room import NO_ROOM
from builder.errors import EnvironmentProblem, ExitCode, GoldsmithError
from builder.redact import scrub_known
from builder.ui.failure import error_lines, error_to_dict
from builder.ui.text import inert, inert_json

if TYPE_CHECKING:
    from templates.diagnostics import Diagnostic

_RED, _BOLD, _DIM, _CYAN, _OFF = "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"
_INDENT = {"detail": "  ", "output": "  | ", "path": "  "}


def report(error: BaseException, argv: Sequence[str] = (), file: TextIO | None = None) -> int:
    """Show `error` on `file` (default stderr) and return the exit code it means. Never raises."""
    out = file or sys.stderr
    machine = is_machine_mode(argv)
    with suppress(BrokenPipeError):
        if isinstance(error, GoldsmithError):
            _show(error, out, machine=machine)
            return int(error.exit_code)
        if isinstance(error, KeyboardInterrupt | Interrupted) or type(error).__name__ == "Abort":
            _write(out, {"code": "Cancelled", "message": "Cancelled.", "exitCode": 130}, machine=machine)
            return int(ExitCode.CANCELLED)
        if isinstance(error, BrokenPipeError):
            return int(ExitCode.BUILD_FAILED)
        if callable(getattr(error, "format_message", None)):  # wrong words on the command line
            _show_usage(error, out, machine=machine)
            return int(ExitCode.BAD_TEMPLATE)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            full = EnvironmentProblem(
                f"There is no room left on a disk: {error}.",
                hint="Free some space; 'build cache du' shows what Goldsmith takes.",
            )
            _show(full, out, machine=machine)
            return int(full.exit_code)
        _show_crash(error, out, argv, machine=machine)
    return int(ExitCode.BUILD_FAILED)


def is_machine_mode(argv: Sequence[str]) -> bool:
    """Whether a program reads our output: `--json`, or events on stdout."""
    for place, word in enumerate(argv):
        if word == "--":
            return False
        if word in ("--json", "--events=-") or argv[place : place + 2] == ["--events", "-"]:
            return True
    return False


def write_error(error: GoldsmithError, file: TextIO | None = None) -> None:
    """Show an error without ending the command: a verb that goes on with the next template."""
    _show(error, file or sys.stderr, machine=False)


def _show(error: GoldsmithError, out: TextIO, *, machine: bool) -> None:
    data = error_to_dict(error)
    if not machine:
        _annotate(data, out)  # each at its line in the file; then only their number
        _show_diagnostics(getattr(error, "diagnostics", ()), out)
        data.pop("diagnostics", None)
    _write(out, data, machine=machine)


def _show_diagnostics(diagnostics: Iterable[Diagnostic], out: TextIO) -> None:
    from builder.ui.diagnostics.human import Human

    face = Human(colour=_colour(out))
    for item in diagnostics:
        out.write(inert(scrub_known("\n".join(face.lines(item)).rstrip())) + "\n\n")


def _annotate(data: dict[str, Any], out: TextIO) -> None:
    """In a CI service's log also as its annotations. Builds annotate their own errors."""
    from builder.ui.ci.service import detect

    service = detect()
    if service is None:
        return
    from builder.ui.ci.face import annotations_of

    for text in annotations_of(data, service):
        out.write(scrub_known(text))


def _write(out: TextIO, data: dict[str, Any], *, machine: bool) -> None:
    if machine:
        text = inert_json(json.dumps({"error": data}, ensure_ascii=False))
    else:
        text = "\n".join(_human(data, colour=_colour(out)))
    out.write(scrub_known(text) + "\n")
    out.flush()


def _human(data: dict[str, Any], *, colour: bool) -> Iterable[str]:
    def paint(text: str, *codes: str) -> str:
        return f"{''.join(codes)}{text}{_OFF}" if colour else text

    for kind, text in error_lines(data):
        if kind == "error":
            yield f"{paint('error:', _RED, _BOLD)} {text}"
        elif kind == "hint":
            yield f"{paint('hint:', _CYAN, _BOLD)} {text}"
        elif kind == "output":
            yield paint(_INDENT[kind] + text, _DIM)
        else:
            yield _INDENT[kind] + text


def _show_usage(error: Any, out: TextIO, *, machine: bool) -> None:  # noqa: ANN401 - click's UsageError
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and ctx is not None:
        out.write(ctx.get_help() + "\n")
        return
    path = ctx.command_path if ctx is not None else "build"
    _write(
        out,
        {
            "code": "Usage",
            "message": error.format_message(),
            "details": [ctx.get_usage()] if ctx is not None else [],
            "hint": f"'{path} --help' shows all options, with examples.",
            "exitCode": int(ExitCode.BAD_TEMPLATE),
        },
        machine=machine,
    )


def _show_crash(error: BaseException, out: TextIO, argv: Sequence[str], *, machine: bool) -> None:
    text = scrub_known("".join(traceback.format_exception(error)))
    place = crash_file(text, argv)
    if os.environ.get("GOLDSMITH_DEBUG") == "1":
        out.write(text)
    _write(
        out,
        {
            "code": "Internal",
            "message": f"internal error: {type(error).__name__}: {error}",
            "details": [f"The traceback is in {place}"] if place else text.splitlines(),
            "hint": "This is a mistake in Goldsmith, not yours; please report it with that file.",
            "exitCode": int(ExitCode.BUILD_FAILED),
        },
        machine=machine,
    )


def crash_file(text: str, argv: Sequence[str]) -> Path | None:
    """Where the traceback was written; None when nothing can be written in the home."""
    try:
        from builder.settings import Home

        folder = Home().root / "crash"
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        place = folder / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        # Only option names and plain words: a value given with = may be a secret.
        words = [word.split("=", 1)[0] + "=..." if "=" in word else word for word in argv]
        place.write_text(f"time: {now.isoformat()}\ncommand: build {' '.join(words)}\n\n{text}")
        place.chmod(0o600)
    except Exception:  # the error itself matters more than its file
        return None
    return place


def _colour(out: TextIO) -> bool:
    from builder.ui.choose import wants_colour

    return wants_colour(out)
