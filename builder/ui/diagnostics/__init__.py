"""The formats of `build validate`: for people, for programs, and for what shows them in a review."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from builder.checked import CheckedFile


class Format(StrEnum):
    """How findings are written."""

    HUMAN = "human"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"
    JUNIT = "junit"


def write(files: Sequence[CheckedFile], how: Format, stream: TextIO) -> None:
    """Write what was found about all files to `stream`."""
    text = _renderer(how, stream)(files)
    # A file may have a name that is no text, and a terminal an encoding of its own.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def _renderer(how: Format, stream: TextIO) -> Callable[[Sequence[CheckedFile]], str]:
    from builder.ui.diagnostics import as_json, github, human, junit, sarif

    if how is Format.HUMAN:
        from builder.ui.choose import wants_colour

        return human.Human(colour=wants_colour(stream)).render
    renderers = {
        Format.GITHUB: github.render,
        Format.SARIF: sarif.render,
        Format.JUNIT: junit.render,
        Format.JSON: as_json.render,
    }
    return renderers[how]
