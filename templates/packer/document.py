"""A Packer template in one form, whichever of Packer's two languages it was written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from templates.diagnostics import Location
from templates.errors import UsageError
from templates.packer.notes import Kind


class PackerError(UsageError):
    """A file that is no Packer template, or one of which nothing can be imported."""

    code = "BadPacker"


@dataclass(frozen=True, slots=True)
class Variable:
    """A user variable. `default` is None when there is none; texts in it are Go templates."""

    name: str
    default: Any  # any JSON value
    pointer: str
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A builder, provisioner or post-processor: its type, its settings and its place in the file."""

    kind: str
    data: Mapping[str, Any]  # any JSON
    pointer: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """One builder with all that runs for it. `--builder` takes `name`; `only` of a step the builder's."""

    name: str
    builder: Part
    provisioners: tuple[Part, ...]
    post_processors: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """A note that reading alone can make."""

    kind: Kind
    pointer: str
    why: str
    advice: str


@dataclass(frozen=True)
class PackerDocument:
    """A Packer template, read. `remarks` speak of everything that is in no build and no variable."""

    file: Path
    variables: Mapping[str, Variable]
    builds: tuple[Build, ...]
    remarks: tuple[Remark, ...]
    locate: Callable[[str], Location]
