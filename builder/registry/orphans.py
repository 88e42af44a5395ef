"""Files of images/ and regions/ that no row names: what a build left that died between link and commit."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from builder.registry import holder, rules
from builder.registry.location import below_place, disk_of, is_file_of_copy, is_url
from builder.registry.part import Part
from builder.registry.places import MARKER, remove_file
from builder.registry.records import Orphan, Reclaimed
from builder.registry.replicas import IDENTITY
from builder.registry.schema import CopyRow, DataDiskRow, ImageRow, MetaRow, ReplicaRow, VersionRow

# A build makes a folder an instant before the file in it.
_EMPTY_SECONDS = 3600.0


class Orphans(Part):
    """The registry's part that gc uses. A folder outside the home is looked at only where its marker says
    that this registry uses it; files at URLs are `gallery replicate --prune`'s. Looks and removes under the
    write lock: nothing can be reserved or recorded meanwhile.
    """

    def reclaim(self, *, dry_run: bool = False) -> Reclaimed:
        """Take back versions that processes reserved which are gone, with their files."""
        with self._db.write() as session:
            taken = []
            for row in session.scalars(select(VersionRow).where(VersionRow.state == "Creating")):
                if holder.is_held(row):
                    continue
                taken.append(row.id)
                if not dry_run:
                    # Before the commit: afterwards the number, and its folder, may be another build's.
                    for file in self._files_of(row):
                        remove_file(file, self._root_of(file))
                    session.delete(row)
            return Reclaimed(tuple(taken))

    def remove_orphans(self, is_live_run: Callable[[str], bool], *, dry_run: bool = False) -> list[Orphan]:
        """Remove (with `dry_run`: only list) VHDs that no row names and no living build can be about
        to record, and folders left empty. `is_live_run` answers for the run id in an image's file name.
        """
        with self._db.write() as session:
            known = self._known(session)
            reserved = {
                _folder_of(row)
                for row in session.scalars(select(VersionRow).where(VersionRow.state == "Creating"))
                if holder.is_held(row)
            }
            mine = self._own_folders(session)
            found = [f for f in _vhds(self.home.images, known) if not is_live_run(_run_of(f))]
            astray = self._astray(known)
            for root in (*_listed(self.home.regions), *mine):
                for file in _vhds(root, known):
                    inner = file.relative_to(root)
                    # A folder that somebody gave a region may hold disks of theirs, and may have been moved.
                    ours = root not in mine or (
                        is_file_of_copy(inner.as_posix()) and inner.as_posix() not in astray
                    )
                    if ours and inner.parts[:3] not in reserved:
                        found.append(file)
            orphans = [Orphan(path, _freed(path)) for path in found]
            for root in (self.home.images, self.home.regions, *mine):
                orphans += [Orphan(path, 0) for path in _empty_folders(root)]
            if not dry_run:
                for orphan in orphans:
                    _remove(orphan.path, self.home.images, *mine, self.home.regions)
            return orphans

    def _known(self, session: Session) -> set[str]:
        columns = (ImageRow.path, ReplicaRow.path, DataDiskRow.path, CopyRow.location)
        texts = {text for column in columns for text in session.scalars(select(column))}
        beside = select(CopyRow.location, DataDiskRow.lun).join(
            DataDiskRow, DataDiskRow.replica_id == CopyRow.replica_id
        )
        texts |= {disk_of(location, lun) for location, lun in session.execute(beside)}
        return {os.path.realpath(self._loaded(text)) for text in texts if not is_url(text)}

    def _astray(self, known: set[str]) -> set[str]:
        """What lies in none of today's folders, below its place: it may be in one of them, under the name
        that its file system had before.
        """
        roots = [os.path.realpath(root) for root in (self.home.root, *self.folders)]
        return {
            below_place(path) for path in known if not any(Path(path).is_relative_to(root) for root in roots)
        }

    def _own_folders(self, session: Session) -> list[Path]:
        """The folders of regions outside the home that carry this registry's name."""
        row = session.get(MetaRow, IDENTITY)
        return [folder for folder in self.folders if row is not None and row.value in _marker(folder)]

    def _files_of(self, row: VersionRow) -> list[Path]:
        folder = Path(*_folder_of(row))
        return [
            file
            for root in (*_listed(self.home.regions), *self.folders)
            for file in (root / folder).glob("*")
            if file.is_file()
        ]


def _folder_of(row: VersionRow) -> tuple[str, str, str]:
    """Gallery, definition and version as the distributor names the folders of a region."""
    definition = row.definition
    number = rules.format_version((row.major, row.minor, row.patch))
    return definition.gallery.name.casefold(), definition.name.casefold(), number


def _run_of(file: Path) -> str:
    """The run that made a file of images/: `<run>.vhd`, or `<run>-lun0.vhd` for a data disk."""
    return re.sub(r"-lun\d+\Z", "", file.stem)


def _vhds(root: Path, known: set[str]) -> Iterator[Path]:
    for folder, _names, files in os.walk(root):
        for name in sorted(files):
            path = Path(folder, name)
            # Temporary names are hidden; gc drops those by their age.
            if name.endswith(".vhd") and not name.startswith(".") and os.path.realpath(path) not in known:
                yield path


def _empty_folders(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        path = Path(folder)
        if path != root and not names and not files and time.time() - path.stat().st_mtime > _EMPTY_SECONDS:
            yield path


def _freed(path: Path) -> int:
    stat = path.lstat()
    return stat.st_blocks * 512 if stat.st_nlink == 1 else 0


def _marker(folder: Path) -> str:
    try:
        return (folder / MARKER).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _remove(path: Path, *roots: Path) -> None:
    root = next(root for root in roots if path.is_relative_to(root))
    # The folders above that are empty then go too.
    remove_file(path / "nothing" if path.is_dir() else path, root)
