"""Clearing away what builds left that could not do it themselves. Never touches what is alive."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from builder import runs
from builder.bench.home import dead as dead_benches
from builder.errors import EnvironmentProblem
from builder.journal import Journal, inside
from builder.lock import FileLock
from builder.on_disk import disk_usage, newest_change
from builder.sources.scratch import remove_tree
from builder.vm.kept import kept_lock
from builder.workspace import Places, clear, read_record, works_on
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.layers.cache import Cache
    from builder.registry.records import Orphan, Reclaimed
    from builder.settings import Home

ItemKind = Literal[
    "workspace", "run", "kept", "download", "temporary", "base", "reservation", "orphan",
    "layer", "memory", "image", "transfer", "bench", "blob", "audit",
]  # fmt: skip

# Younger ones may belong to a build under way: no build takes longer than 960 minutes (AIB).
STALE_SECONDS = 16 * 3600.0
_DAY = 24 * 3600.0
# Temporary directories of ours that only live for a moment (disk checks, KVM probe).
_SCRATCH = ("goldsmith-ext4-*", "goldsmith-fat-*", "goldsmith-gpg-*", "goldsmith-lint-*", "goldsmith-probe-*")
_WORKSPACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GcItem:
    """One thing that went, or would go. `size` is what it took on the disk, in bytes."""

    kind: ItemKind
    name: str
    reason: str
    size: int = 0
    path: Path | None = None


@dataclass(slots=True)
class GcReport:
    """What was removed (with `dry_run`: would be), and what could not be, with the reason."""

    dry_run: bool
    removed: list[GcItem] = field(default_factory=list)
    left: list[GcItem] = field(default_factory=list)

    @property
    def freed(self) -> int:
        """Bytes on the disk."""
        return sum(item.size for item in self.removed)


class Reclaimer(Protocol):
    """What gc needs of the registry."""

    def reclaim(self, *, dry_run: bool = False) -> Reclaimed:
        """Drop the reservations of dead processes, and their files."""

    def remove_orphans(self, is_live_run: Callable[[str], bool], *, dry_run: bool = False) -> list[Orphan]:
        """Remove the files in images/ and regions/ that nothing names."""

    def prune_audit(self, days: float, *, dry_run: bool = False) -> int:
        """Forget older lines of the audit; how many."""


def collect(
    home: Home,
    registry: Reclaimer | None,
    cache: Cache | None = None,
    *,
    dry_run: bool = False,
    keep_days: float = 7.0,
    audit_days: float = 90.0,
) -> GcReport:
    """Clear the home. `keep_days` is how long kept disks of failed builds stay, `audit_days` the audit.

    `registry` None leaves the registry, images/ and regions/ alone, `cache` None its layers and
    finished images. One thing that cannot go does not stop the rest.
    """
    report = GcReport(dry_run)
    _workspaces(home, report)
    _interrupted_runs(home, report)
    _kept(home, report, keep_days * _DAY)
    _stale(home, report)
    _uploads(home, report, keep_days * _DAY)
    if registry is not None:
        _registered(home, registry, report, audit_days)
    if cache is not None:
        _cached(home, cache, report)
    _base_links(home, report)  # last: what went above may have been the image under a link
    return report


def _registered(home: Home, registry: Reclaimer, report: GcReport, audit_days: float) -> None:
    try:
        for version in registry.reclaim(dry_run=report.dry_run).versions:
            report.removed.append(GcItem("reservation", version, "reserved by a build that is gone"))
        for orphan in registry.remove_orphans(lambda run: _lives(home, run), dry_run=report.dry_run):
            path = orphan.path  # outside the home where a region has a folder of its own
            name = str(path.relative_to(home.root) if path.is_relative_to(home.root) else path)
            item = GcItem("orphan", name, "no image or version names it", orphan.size, orphan.path)
            report.removed.append(item)
        with suppress(EnvironmentProblem):  # a database may let nobody but its owner forget
            lines = registry.prune_audit(audit_days, dry_run=report.dry_run)
            if lines:
                report.removed.append(GcItem("audit", f"{lines} lines", f"older than {audit_days:g} days"))
    except (OSError, GoldsmithError) as error:
        report.left.append(GcItem("orphan", str(home.registry), str(error)))


def _lives(home: Home, run_id: str) -> bool:
    if works_on(home, run_id):  # an import has no record
        return True
    try:
        record = runs.RunDirectory(home.runs / run_id).read()
    except GoldsmithError:
        return False
    return not record.finished and runs.is_live(record)


def _workspaces(home: Home, report: GcReport) -> None:
    for name in sorted(_workspace_names(home)):
        places = Places(home, name)
        lock = FileLock(places.lock)
        if not lock.try_acquire(by="gc"):
            continue  # its build is alive, whatever its pid looks like from here
        try:
            _dead_workspace(places, report)
        except (OSError, GoldsmithError) as error:
            report.left.append(GcItem("workspace", name, str(error), path=places.directory))
        finally:
            lock.release()


def _dead_workspace(places: Places, report: GcReport) -> None:
    record = read_record(places.directory)
    entries = Journal(places.journal).open_entries()
    if record is None and not places.journal.exists():
        return  # its build ended between our look and our lock
    size = disk_usage(places.directory)
    resources = sum(1 for entry in entries if not entry.token.startswith("workspace:"))
    reason = f"run {(record or {}).get('runId', 'unknown')} is gone; {resources} resources in its journal"
    item = GcItem("workspace", places.name, reason, size, places.directory)
    if not report.dry_run:
        left = clear(places, budget=_WORKSPACE_SECONDS)
        for one in left:
            report.left.append(GcItem("workspace", f"{places.name}: {one.entry.token}", one.note))
        if left:
            return
    report.removed.append(item)


def _workspace_names(home: Home) -> set[str]:
    """Directories with our record, and journals whose directory may be half gone."""
    if not home.staging.is_dir():
        return set()
    names = {item.name for item in home.staging.iterdir() if read_record(item) is not None}
    known = {name.lower() for name in names}
    journals = (home.staging / ".journals").glob("*.jsonl")
    return names | {journal.stem for journal in journals if journal.stem not in known}


def _interrupted_runs(home: Home, report: GcReport) -> None:
    for run in runs.directories(home):
        try:
            record = run.read()
            if record.finished or runs.is_live(record):
                continue
            record = run.read()  # it may have written its end just before it went
            if record.finished:
                continue
            if not report.dry_run:
                record.interrupt()
                runs.RunDirectory(run.path, record).save()
        except (OSError, GoldsmithError) as error:
            report.left.append(GcItem("run", run.run_id, str(error), path=run.path))
            continue
        report.removed.append(GcItem("run", run.run_id, "interrupted; marked Failed", path=run.path))


def _kept(home: Home, report: GcReport, keep_seconds: float) -> None:
    for run in runs.directories(home):
        if not run.kept.is_dir():
            continue
        age = time.time() - _kept_since(run.kept)
        if age <= keep_seconds or _lives(home, run.run_id):
            continue
        lock = kept_lock(run.kept)
        if not lock.try_acquire(by="gc"):
            continue  # somebody has a shell in it
        try:
            reason = f"kept {age / _DAY:.1f} days ago, longer than {keep_seconds / _DAY:g}"
            _remove(report, GcItem("kept", run.run_id, reason, disk_usage(run.kept), run.kept), home.runs)
        finally:
            lock.release()


def _kept_since(kept: Path) -> float:
    marker = kept / "kept.json"
    return (marker if marker.exists() else kept).stat().st_mtime


def _stale(home: Home, report: GcReport) -> None:
    """Unfinished downloads and temporary directories nobody has written to for longer than a build lasts."""
    if home.downloads.is_dir():
        for path in sorted(home.downloads.rglob("*.part")):
            _remove_if_stale(report, "download", path, home.downloads)
        for path in home.downloads.glob("*.lock"):
            lock = FileLock(path)
            if not report.dry_run and lock.try_acquire(by="gc"):
                lock.release()  # and with it the file that a killed download left
    _half_made_bases(home, report)
    for root in (home.layers, home.images, home.regions):
        if root.is_dir():
            for path in _temporaries(root):
                _remove_if_stale(report, "temporary", path, root)
    for path in dead_benches(home):
        # Most of it is links of what the home keeps: what is freed is not worth finding out.
        item = GcItem("bench", path.name, "the bench that used it is gone", 0, path)
        _remove(report, item, path.parent)
    for path in home.root.glob(".doctor-*"):
        _remove_if_stale(report, "temporary", path, home.root)
    scratch = Path(tempfile.gettempdir())
    for pattern in _SCRATCH:
        for path in scratch.glob(pattern):
            # Anybody may write there: only a directory that is ours, never a link to another.
            if not path.is_symlink() and path.lstat().st_uid == os.getuid():
                _remove_if_stale(report, "temporary", path, scratch)


def _uploads(home: Home, report: GcReport, keep_seconds: float) -> None:
    """Blobs of uploads that did not end; importing what speaks to Azure is only worth it when there are."""
    if not any(home.uploads.glob("*.jsonl")):
        return
    from builder.blob.leftovers import clear_away
    from builder.settings import load_settings

    for found in clear_away(home, load_settings(home), keep_seconds, dry_run=report.dry_run):
        (report.removed if found.gone else report.left).append(GcItem("blob", found.uri, found.reason))


def _cached(home: Home, cache: Cache, report: GcReport) -> None:
    """What no build can use of the cache, and then what is over its budget."""
    from builder.layers.leftovers import leftovers

    try:
        for found in leftovers(home, cache):
            item = GcItem(found.kind, found.name, found.reason, disk_usage(found.path), found.path)
            try:
                if not report.dry_run:
                    found.remove()
            except OSError as error:
                report.left.append(GcItem(item.kind, item.name, str(error), item.size, found.path))
            else:
                report.removed.append(item)
    except (OSError, GoldsmithError) as error:
        report.left.append(GcItem("layer", str(home.layers), str(error), path=home.layers))


def _half_made_bases(home: Home, report: GcReport) -> None:
    """A base is made as `.<key>.tmp` under the lock `.<key>.lock`: a free lock means its maker is gone."""
    if not home.bases.is_dir():
        return
    for path in sorted(home.bases.glob(".*.tmp")):
        lock = path.with_suffix(".lock")
        if not lock.exists():
            _remove_if_stale(report, "temporary", path, home.bases)
            continue
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if path.exists():
                item = GcItem("temporary", path.name, "its maker is gone", disk_usage(path), path)
                _remove(report, item, home.bases)


def _base_links(home: Home, report: GcReport) -> None:
    """A registered image that was a source has a second name in cache/bases (sources/registered.py).
    When that is the only one left the image is deleted, and the name goes unless somebody uses it:
    a living build or shell, whose disks we do not know, or a kept machine, whose we do.
    """
    if not home.bases.is_dir():
        return
    for folder in sorted(home.bases.iterdir()):
        link = folder / "disk.vhd"
        try:
            lonely = [item.name for item in folder.iterdir()] == [link.name] and link.stat().st_nlink == 1
        except OSError:
            continue
        if lonely and not anybody_works(home) and not is_kept_on(home, folder):
            item = GcItem("base", folder.name, "its image is deleted", disk_usage(folder), folder)
            _remove(report, item, home.bases)


def anybody_works(home: Home) -> bool:
    """Whether a build or a shell is under way, whose disks nobody else knows."""
    for path in (home.staging / ".locks").glob("*.lock"):
        lock = FileLock(path)
        if not lock.try_acquire(by="gc"):
            return True
        lock.release()
    return False


def is_kept_on(home: Home, folder: Path) -> bool:
    """Whether a kept machine has a disk in `folder`."""
    for run in runs.directories(home):
        try:
            facts = json.loads((run.kept / "machine.json").read_bytes())
            disks = [facts["disk"], *(one["disk"] for one in facts.get("dataDisks", ()))]
            if any(folder in Path(layer["path"]).parents for disk in disks for layer in disk):
                return True
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError):
            return True  # not readable, so not known to be free
    return False


def _temporaries(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            if is_temporary(name):
                yield Path(directory) / name
        names[:] = [name for name in names if not is_temporary(name)]


def is_temporary(name: str) -> bool:
    """Whether a name is one that unfinished work has: `.tmp-*`, `tmp-*`, `*.tmp`, `*.part`, `*.partial`."""
    return name.startswith((".tmp", "tmp-", ".partial")) or name.endswith((".tmp", ".part", ".partial"))


def _remove_if_stale(report: GcReport, kind: ItemKind, path: Path, root: Path) -> None:
    try:
        age = time.time() - newest_change(path)
    except FileNotFoundError:
        return  # finished and renamed while we looked
    if age > STALE_SECONDS:
        size = disk_usage(path)
        _remove(report, GcItem(kind, path.name, f"untouched for {age / 3600:.0f} hours", size, path), root)


def _remove(report: GcReport, item: GcItem, root: Path) -> None:
    path = item.path
    if path is None or not inside(path, [root]):
        return
    if not report.dry_run:
        try:
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)  # bases made without root hold files of subordinate ids
            else:
                path.unlink(missing_ok=True)
        except (OSError, GoldsmithError) as error:
            report.left.append(GcItem(item.kind, item.name, str(error), item.size, path))
            return
    report.removed.append(item)
