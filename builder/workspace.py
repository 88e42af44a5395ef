"""The `IT_` workspace: everything a build needs while it runs, and nothing afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.cancellation import shielded
from builder.errors import ConflictError
from builder.events import EventBus, Wait
from builder.journal import Entry, Journal, Reaped, reap
from builder.lock import FileLock
from builder.owner import Owner
from builder.phases import phase
from builder.services import Services
from builder.settings import Home
from builder.workspace_name import clean_name, group_of, workspace_name
from templates.model import ImageTemplate

RECORD = "workspace.json"
_POLL_SECONDS = 0.5
# No build takes longer (buildTimeoutInMinutes is at most 960): one that does is stuck.
WAIT_SECONDS = 960 * 60.0


class Workspace:
    """A private directory `staging/IT_<DestinationResourceGroup>_<TemplateName>` with a lock and a journal.

    Entering it takes the lock (or is refused, or waits) and cleans up after an owner that died.
    Leaving it, however it is left, takes away everything the journal names, within
    `settings.cleanup_timeout` seconds, and never hides the exception that is under way. What a
    SIGKILL or a power loss leaves is found by the next build of the template or `build gc`.

    Lock and journal stand beside the directory (`staging/.locks`, `staging/.journals`): they
    outlive it, so that a half-removed directory is still known.
    """

    def __init__(
        self, template: ImageTemplate, services: Services, *, run_id: str, wait: bool = False
    ) -> None:
        supplied = template.properties.staging_resource_group
        self.name = (
            clean_name(supplied.rsplit("/", 1)[-1]) if supplied else workspace_name(template, services)
        )
        self.run_id = run_id
        self.places = Places(services.home, self.name)
        self.path = self.places.directory
        self.journal = Journal(self.places.journal)
        self._services = services
        self._wait = wait
        self._supplied = bool(supplied)
        self._keep_directory = False
        self._created = False
        self._lock = FileLock(self.places.lock)
        self.tags = {
            **template.properties.managed_resource_tags,
            # AIB's own tags (aib-behaviour, section 10) win over the user's.
            "createdBy": "Goldsmith",
            "imageTemplateName": template.name,
            "imageTemplateResourceGroupName": group_of(template, services),
        }

    def __enter__(self) -> Workspace:
        try:
            self._acquire()
            self._clean_up_after_the_dead()
            self._create()
        except BaseException:
            with shielded():
                self._undo()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with shielded():
            try:
                self._leave()
            except Exception as problem:  # whatever it is, the build's own error matters more
                self._complain([f"{type(problem).__name__}: {problem}"])
            except BaseException:
                self._complain(["cleaning up was interrupted"])
                if error is None:
                    raise
            finally:
                with contextlib.suppress(OSError):
                    self._lock.release()

    def user(self) -> str:
        """Who uses it now, in words; empty when nobody does. Looks only: it may have changed already."""
        owner = Owner.from_json(self._lock.holder().get("owner"))
        return self._holder() if owner is not None and owner.alive() else ""

    def file(self, name: str) -> Path:
        """The path of a file in here. Raises ValueError when `name` would leave the workspace."""
        if not name or "/" in name or name in (".", ".."):
            raise ValueError(f"not a file name: {name!r}")
        return self.path / name

    def new_directory(self, name: str) -> Path:
        """A private folder in here that was not there before: `name`, or `name-2` and so on."""
        number = 1
        while True:
            path = self.file(name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                number += 1
                continue
            return path

    def keep_to(self, directory: Path, names: Iterable[str] | None = None) -> dict[Path, Path]:
        """Move files (all but the record, or those of `names`) out of here, to be kept.

        Returns where each went: {old path: new path}. End QEMU first; a moved file is no longer
        in the journal. Raises OSError when there is no room.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        wanted = {item.name for item in self.path.iterdir()} - {RECORD} if names is None else set(names)
        moved: dict[Path, Path] = {}
        for name in sorted(wanted):
            source, target = self.path / name, directory / name
            if not os.path.lexists(source):
                continue
            try:
                source.rename(target)
            except OSError:  # another file system, or something of that name is there
                shutil.move(source, target)
            moved[source] = target
        for entry in self.journal.open_entries():
            path = Path(str(entry.facts.get("path", "")))
            was_moved = path in moved or any(parent in moved for parent in path.parents)
            if was_moved and not os.path.lexists(path):
                self.journal.gone(entry.token)
        record = {
            "runId": self.run_id,
            "workspace": self.name,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {str(old): str(new) for old, new in moved.items()},
        }
        (directory / "kept.json").write_text(json.dumps(record, indent=2) + "\n")
        return moved

    def _acquire(self) -> None:
        if self._lock.try_acquire(runId=self.run_id):
            return
        if not self._wait:
            raise self._conflict()
        what = f"Waiting for {self._holder()} to leave {self.name}"
        end = time.monotonic() + WAIT_SECONDS
        # The other build's time is none of our own.
        with self._services.deadline.pause(), Wait(self._services.bus, what):
            while not self._lock.try_acquire(runId=self.run_id):
                if time.monotonic() >= end:
                    raise self._conflict()
                time.sleep(_POLL_SECONDS)

    def _conflict(self) -> ConflictError:
        holder = self._lock.holder()
        run, owner = holder.get("runId") or "", Owner.from_json(holder.get("owner"))
        where = " where it was started" if owner is not None and owner.elsewhere else ""
        return ConflictError(
            f"{self.name} is in use: {self._holder()} builds the same template.",
            details=(f"workspace: {self.path}",),
            # Without the id it would be the latest run that is meant: the one that is refused here.
            hint=f"Wait for it with --wait, or stop it{where}: {f'build runs cancel {run}'.rstrip()}",
        )

    def _holder(self) -> str:
        holder = self._lock.holder()
        run, owner, since = holder.get("runId"), holder.get("owner"), holder.get("since")
        pid = owner.get("pid") if isinstance(owner, dict) else None
        if run is None:
            return "another build"
        return f"run {run} (pid {pid}, since {since})"

    def _clean_up_after_the_dead(self) -> None:
        """We hold the lock, so whoever wrote this journal or directory is gone."""
        record = read_record(self.path)
        if not self.places.journal.exists() and record is None:
            return
        what = f"Cleaning up after the interrupted run {(record or {}).get('runId', '')}".rstrip()
        with Wait(self._services.bus, what):
            left = clear(self.places, budget=self._services.settings.cleanup_timeout)
        if left:
            self._complain([f"{item.entry.kind} {item.entry.token}: {item.note}" for item in left])

    def _create(self) -> None:
        if os.path.lexists(self.path):
            self._refuse_foreign()
            self._keep_directory = self._supplied
        self.places.journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._created = True
        self.journal.intent("directory", self._token, path=str(self.path), keep=self._keep_directory)
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)  # an existing directory, or a loose umask
        write_json(
            self.path / RECORD,
            {
                "formatVersion": 1,
                "runId": self.run_id,
                "name": self.name,
                "keepDirectory": self._keep_directory,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "tags": self.tags,
            },
        )
        self.journal.created(self._token)

    def _refuse_foreign(self) -> None:
        """AIB: a staging group that exists must be empty and not another template's."""
        if self.path.is_symlink() or not self.path.is_dir() or any(self.path.iterdir()):
            raise ConflictError(
                f"{self.path} is not empty and is no workspace of Goldsmith.",
                hint="Move it away, or name another stagingResourceGroup."
                if self._supplied
                else "Move it away.",
            )

    def _undo(self) -> None:
        """Entering failed: what was made of the workspace goes while the lock is ours."""
        with contextlib.suppress(Exception):
            if self._created:
                clear(self.places, budget=self._services.settings.cleanup_timeout)
        with contextlib.suppress(OSError):
            self._lock.release()

    def _leave(self) -> None:
        budget = self._services.settings.cleanup_timeout
        bus = self._services.bus
        with Wait(bus, f"Removing {self.name}"), phase(bus, "Remove workspace", where="engine", stage=""):
            left = clear(self.places, budget=budget)
        if left:
            self._complain([f"{item.entry.kind} {item.entry.token}: {item.note}" for item in left])

    def _complain(self, problems: list[str]) -> None:
        bus: EventBus = self._services.bus
        with contextlib.suppress(Exception):
            bus.warn(
                f"{self.name} was not removed completely ({'; '.join(problems)}). 'build gc' finishes it.",
                code="WorkspaceLeft",
            )

    @property
    def _token(self) -> str:
        return f"workspace:{self.name}"


class Places:
    """Where a workspace's parts are. Names are compared without case, as ARM compares them."""

    def __init__(self, home: Home, name: str) -> None:
        self.home = home
        self.name = name
        self.directory = home.staging / name
        self.journal = home.staging / ".journals" / f"{name.lower()}.jsonl"
        self.lock = home.staging / ".locks" / f"{name.lower()}.lock"

    def roots(self) -> list[Path]:
        """Where this workspace's journal may delete: inside its staging area, and nothing else."""
        return [self.home.staging]


def clear(places: Places, *, budget: float) -> list[Reaped]:
    """Take away what a workspace left; the caller holds its lock. Returns what could not go.

    The journal goes last and only when nothing is left, so that a second attempt knows it all.
    """
    end = time.monotonic() + budget
    journal = Journal(places.journal)
    # Another spelling of the name may have been used: the journal knows the directory.
    directories = {places.directory} if read_record(places.directory) is not None else set()
    entries, keep = [], set()
    for entry in journal.open_entries():
        if entry.token.startswith("workspace:"):
            directories.add(Path(str(entry.facts["path"])))
            if entry.facts.get("keep"):  # the record may not have been written yet
                keep.add(Path(str(entry.facts["path"])))
        entries.append(entry)
    keep |= {path for path in directories if (read_record(path) or {}).get("keepDirectory")}
    contents = [Entry("directory", f"content:{path}", {"path": str(path)}) for path in directories]
    known = {str(entry.facts.get("path")) for entry in entries}
    entries += [entry for entry in contents if str(entry.facts["path"]) not in known]
    left = []
    for done in reap(entries, roots=places.roots(), budget=max(0.0, end - time.monotonic())):
        if done.outcome == "left":
            left.append(done)
        elif places.journal.exists() and done.entry not in contents:
            journal.gone(done.entry.token)
    for path in keep:  # the user's own staging group stays, empty (AIB)
        if not any(str(done.entry.facts.get("path")) == str(path) for done in left):
            path.mkdir(mode=0o700, exist_ok=True)
    if not left:
        journal.delete()
    return left


def works_on(home: Home, run_id: str) -> bool:
    """Whether a living process is, or may be, in a workspace for that run. Only looks."""
    for path in (home.staging / ".locks").glob("*.lock"):
        holder = FileLock(path).holder()
        owner = Owner.from_json(holder.get("owner"))
        if holder.get("runId") == run_id and owner is not None and owner.known_alive() is not False:
            return True
    return False


def read_record(directory: Path) -> dict[str, Any] | None:
    """The `workspace.json` of a directory; None when it is no workspace of ours."""
    try:
        record = json.loads((directory / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "runId" in record else None


def write_json(path: Path, value: object) -> None:
    """Write a JSON file so that a reader sees the old or the new one, never half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
