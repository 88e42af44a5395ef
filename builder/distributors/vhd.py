"""`VHD`: a fixed VHD at a place of the user's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from builder.cancellation import deferred
from builder.changes import Change
from builder.disk.ahead import CopyAhead
from builder.disk.data_disk import beside
from builder.disk.extents import allocated_size, clone
from builder.disk.known_files import KnownFiles
from builder.disk.vhd import VhdError, check_fixed_vhd, read_footer
from builder.distributors.base import Artifact
from builder.distributors.files import GIB, existing_parent, explained, require_space, space_for
from builder.errors import EnvironmentProblem, PreflightError
from builder.journal import Journal
from builder.workspace import Places

if TYPE_CHECKING:
    from builder.distributors.base import ExpectedImage, FinishedImage
    from builder.services import Services
    from templates.model.distribute import VhdDistributor as VhdModel

# The data of a disk is not known before it is built; a Linux system has about that much.
LEAST_FREE = GIB
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:")


class VhdDistributor:
    """Copies the image to `uri` (a path or file://), or to `<runOutputName>.vhd` in the output folder.

    The copy is independent of the home: a reflink or a sparse copy, never a link. A `uri` that is a
    folder, or ends with `/`, gets `<runOutputName>.vhd` in it. Data disks go beside it: `web-lun0.vhd`.
    """

    def __init__(self, model: VhdModel, services: Services) -> None:
        self._model = model
        self._services = services
        self._ahead: CopyAhead | None = None
        self._luns: tuple[int, ...] = ()

    @cached_property
    def place(self) -> Path:
        """See `place_of`."""
        return place_of(self._model, self._services.base_dir, self._services.output_dir)

    def target(self) -> str:
        """The file, links resolved."""
        return os.path.realpath(self.place)

    def more_targets(self) -> tuple[str, ...]:
        """The files of the data disks, links resolved."""
        return tuple(os.path.realpath(beside(self.place, lun)) for lun in self._luns)

    def preflight(self, expected: ExpectedImage) -> str:
        """Check that the place can be written. Raises PreflightError, EnvironmentProblem."""
        place = self.place
        self._luns = tuple(disk.lun for disk in expected.data_disks)
        for file in self._files:
            _check_replaceable(file)
        folder = place.parent
        if self._model.uri.strip() and not folder.is_dir():
            raise PreflightError(
                f"The folder {folder} of the VHD '{self._model.run_output_name}' does not exist.",
                hint=f"Make it: mkdir -p {folder}",
            )
        above = existing_parent(folder)
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise EnvironmentProblem(
                f"The VHD cannot be written: {above} is not a folder you may write to.",
                hint="Choose another place with --output-dir or 'uri'.",
            )
        require_space(folder, min(expected.size, LEAST_FREE) if expected.size else LEAST_FREE)
        return f"{'replaces' if place.exists() else 'VHD'} {place}"

    def changes(self) -> tuple[Change, ...]:
        """The files."""
        return tuple(
            Change("replace" if file.exists() else "create", "vhd", str(file)) for file in self._files
        )

    def begin(self, vhd: Path) -> None:
        """Copy what will be asked for once it is proved. Whatever is in the way is told then."""
        with suppress(OSError, EnvironmentProblem):
            space_for(vhd, self.place.parent)
            self._ahead = CopyAhead.begin(vhd, self.place.parent)

    def distribute(self, image: FinishedImage) -> Artifact:
        """Copy, check the copy, and only then put it in place of what was there; the data disks before the OS
        disk. When one of them fails, those that were not there before go again.

        What an earlier build put there and nobody touched since is left as it is, when it is the same.
        """
        place = self.place
        data_disks = {beside(place, disk.lun): disk for disk in image.data_disks}
        for file in (place, *data_disks):
            _check_replaceable(file)  # once more: a build takes its time
        check_fixed_vhd(image.vhd)
        known = KnownFiles(self._services.home.known_files)
        if not (image.reused and known.digest(place) == image.digest):
            with explained(place), _gone_unless_whole(data_disks):
                for file, disk in data_disks.items():
                    self._copy(disk.vhd, file)
                self._put(image, place)
            known.note(place, image.digest)
        return Artifact(
            run_output=self._model.run_output_name,
            type="VHD",
            path=place,
            size=image.virtual_size,
            size_on_disk=allocated_size(place),
            tags=dict(self._model.artifact_tags),
            data_disks=tuple(data_disks),
        )

    def release(self) -> None:
        """Nothing is reserved; a copy that was begun and not asked for goes."""
        if self._ahead is not None:
            self._ahead.forget()

    def _put(self, image: FinishedImage, place: Path) -> None:
        if self._ahead is not None and self._ahead.source == image.vhd:
            self._ahead.appear(place, check_fixed_vhd)
            return
        self._copy(image.vhd, place)

    def _copy(self, vhd: Path, place: Path) -> None:
        space_for(vhd, place.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        with self._journaled(vhd) as announce:
            clone(vhd, place, verify=check_fixed_vhd, announce=announce)

    @property
    def _files(self) -> tuple[Path, ...]:
        return (self.place, *(beside(self.place, lun) for lun in self._luns))

    @contextmanager
    def _journaled(self, vhd: Path) -> Iterator[Callable[[Path], None]]:
        """Notes an unfinished copy in the journal of the workspace that `vhd` lies in, until it is gone."""
        journal = Journal(Places(self._services.home, vhd.parent.name).journal)
        parts: list[Path] = []

        def announce(part: Path) -> None:
            if journal.path.exists():
                journal.intent("file", f"part:{part}", path=str(part), part=True)
                parts.append(part)

        try:
            yield announce
        finally:
            for part in parts:
                if not part.exists():
                    journal.gone(f"part:{part}")


@contextmanager
def _gone_unless_whole(files: Iterable[Path]) -> Iterator[None]:
    """When the block fails, remove those of `files` that were not there before it."""
    new = [file for file in files if not os.path.lexists(file)]
    try:
        yield
    except BaseException:
        with deferred():
            for file in new:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
        raise


def place_of(model: VhdModel, base_dir: Path, output_dir: Path) -> Path:
    """Where the VHD goes. Raises PreflightError for a uri that is no place on this machine."""
    name = f"{model.run_output_name}.vhd"
    uri = model.uri.strip()
    if not uri:
        return output_dir.absolute() / name
    path = base_dir.absolute() / _local_path(uri)
    return path / name if uri.endswith("/") or path.is_dir() else path


def _check_replaceable(place: Path) -> None:
    """Raises PreflightError for anything but a VHD of an earlier build."""
    if not os.path.lexists(place):
        return
    if not place.is_file():
        raise PreflightError(f"{place} is there and is not a file.", hint="Choose another 'uri'.")
    try:
        read_footer(place)
    except VhdError as error:
        raise PreflightError(
            f"{place} is there and is not a VHD; it is not replaced.",
            hint="Move it away, or choose another place with --output-dir or 'uri'.",
        ) from error


def _local_path(uri: str) -> Path:
    if not _SCHEME.match(uri):
        return Path(uri).expanduser()
    parts = urlsplit(uri)
    if parts.scheme.lower() == "file":
        if parts.netloc not in {"", "localhost"}:
            raise PreflightError(
                f"'{uri}' names the machine '{parts.netloc}', not this one.", hint="Use file:///path/disk.vhd"
            )
        return Path(unquote(parts.path))
    raise PreflightError(
        f"The VHD uri '{uri}' is not on this machine, and '{parts.scheme}:' is not supported.",
        hint="Use the https:// address of a blob, a path or file:///path/disk.vhd, or leave 'uri' out and "
        "pass --output-dir.",
    )
