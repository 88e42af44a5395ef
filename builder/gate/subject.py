"""What the rules look at: facts about one image, gathered beforehand. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from builder.gate.rule import Unknown

if TYPE_CHECKING:
    from builder.disk.filesystem import FileSystem
    from builder.disk.vhd import VhdFooter
    from builder.gate.boot_entry import BootEntry
    from builder.gate.initramfs import Contents
    from builder.sources.base import Generation, OsType
    from provisioners.generalized import ImageFiles

_Part = TypeVar("_Part")


CUT = "cut"
"""The format of what has a partition table and an end that no format has: a VHD without its last bytes."""


@dataclass(frozen=True, slots=True)
class Container:
    """The file itself. `format` as far as it is known ("vhdx"), "" when nobody can say; without a footer
    `problem` says what is there instead. Sizes in bytes.
    """

    path: Path
    file_size: int
    footer: VhdFooter | None
    format: str = ""
    problem: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the guest's disk lies in it byte for byte, so that it can be looked into."""
        return self.format in ("raw", "vhd", CUT) and (
            self.footer is None or self.footer.type_name != "dynamic"
        )

    @property
    def virtual_size(self) -> int:
        """What a guest sees. Raises Unknown without a footer."""
        if self.footer is None:
            raise Unknown("there is no VHD footer that would say so")
        return self.footer.current_size


@dataclass(frozen=True, slots=True)
class Table:
    """The partition table: "gpt", "mbr" or "" with a `problem`. `boot_code`: sector 0 holds some.

    `esp` are the paths of files on the EFI system partition, in upper case; a text says why they are not
    known.
    """

    scheme: Literal["gpt", "mbr", ""]
    systems: tuple[FileSystem, ...] = ()
    boot_code: bool = False
    esp: frozenset[str] | str = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """The Linux on the disk. `unread`: parts of its tree that nothing here can look into."""

    files: ImageFiles
    boot: BootEntry | None
    initramfs: Mapping[str, Contents | str] = field(default_factory=dict)
    """What is in each initramfs of the entry; a text says why that is not known."""
    unread: tuple[str, ...] = ()

    def text(self, path: str) -> str:
        """The content of a file, "" when there is none."""
        return (self.files.read(path) or b"").decode(errors="replace")

    def names(self, *folders: str) -> set[str]:
        """The names in these folders, as far as they are there."""
        return {name for folder in folders for name in self.files.listdir(folder) or ()}


@dataclass(frozen=True, slots=True)
class Subject:
    """One image. `generation` is None when neither a person nor its partitions say; `user` is who must be
    gone from it. A text in place of a part says why that is not known.
    """

    container: Container
    table_or_why: Table | str
    guest_or_why: Guest | str
    os_type: OsType | None = None
    generation: Generation | None = None
    user: str = ""

    @property
    def table(self) -> Table:
        """Raises Unknown."""
        return _known(self.table_or_why)

    @property
    def guest(self) -> Guest:
        """Raises Unknown."""
        return _known(self.guest_or_why)


def _known(value: _Part | str) -> _Part:
    if isinstance(value, str):
        raise Unknown(value)
    return value
