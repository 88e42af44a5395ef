"""Makes the copies that are to be made: several at a time, again after a failure, each checked."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder.background import Background
from builder.cancellation import Interrupted, checkpoint, deferred, shielded, stoppable
from builder.disk.extents import allocated_size
from builder.errors import GoldsmithError
from builder.registry.location import disk_of
from builder.replication.copying import Copied, RottenError, copy_disk, data_size
from builder.replication.place import PlaceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.registry.records import CopyTask
    from builder.registry.store import Registry
    from builder.replication.place import Place, Places

Said = Literal["begun", "progress", "done", "failed", "again"]

_TRIES = 3
_FIRST_PAUSE = 1.0
# A copy of which no byte moved for so long is given up; its thread is left to itself.
STALL_SECONDS = 300.0
_LOOK_SECONDS = 0.2
_NOTE_SECONDS = 1.0
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CopyNews:
    """What became of a copy. Bytes are of data; `sent` is what had to be copied."""

    kind: Said
    task: CopyTask
    done: int = 0
    total: int = 0
    sent: int = 0
    error: str = ""


@dataclass(slots=True)
class Report:
    """What `Replicator.run` did: names of copies made, those that failed with the reason, bytes copied."""

    made: list[CopyTask] = field(default_factory=list)
    failed: list[tuple[CopyTask, str]] = field(default_factory=list)
    sent: int = 0


class _LostError(Exception):
    """The copy is not ours any more: its version was deleted, or we were given up."""


class _Work:
    """One copy under way, as its thread and the one that waits see it."""

    def __init__(self, task: CopyTask) -> None:
        self.task = task
        self.moved = time.monotonic()
        self.done = 0
        self.total = 0
        self.abandoned = False


class Replicator:
    """`jobs` copies at a time. `finished` are local files of a version's disks (by lun, None for the OS
    disk) to copy from as if they were a replica of it: what a build still has.
    """

    def __init__(
        self,
        registry: Registry,
        places: Places,
        *,
        jobs: int,
        told: Callable[[CopyNews], None] = lambda _: None,
        finished: Mapping[int | None, str] | None = None,
    ) -> None:
        self._registry = registry
        self._places = places
        self._jobs = jobs
        self._told = told
        self._finished = finished or {}
        self._news: queue.Queue[CopyNews | None] = queue.Queue()
        self._tried: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._under_way: dict[int, _Work] = {}
        self._fatal: list[BaseException] = []
        self._identity = ""
        self._checked: set[str] = set()

    def run(
        self, versions: Sequence[str], *, region: str | None = None, look: Callable[[], object] = lambda: None
    ) -> Report:
        """Make what is missing of these versions. `look` is called while waiting and may raise, to stop it:
        copies under way are given back then, for the next one to go on with. So does a signal.

        A copy that fails is in the report; the others go on.
        """
        self._registry.complete_plan(versions)
        self._identity = self._registry.identity()
        report = Report()
        threads = [Background(partial(self._work, versions, region), "replica") for _ in range(self._jobs)]
        started: list[Background] = []
        try:
            for thread in threads:
                with deferred():  # none may be under way that is not waited for
                    thread.start()
                    started.append(thread)
            while not self._over(threads):
                self._hear(report, _LOOK_SECONDS)
                self._give_up_stalled()
                checkpoint()
                look()
        except BaseException:
            self._stop.set()
            with shielded():
                self._drain(started)
            raise
        self._hear(report, 0)
        if self._fatal:
            raise self._fatal[0]
        return report

    def _hear(self, report: Report, seconds: float) -> None:
        """Take what the threads say, waiting at most so long for the first word, and tell it on. Only here:
        whoever listens needs no lock.
        """
        try:
            news = self._news.get(timeout=seconds) if seconds else self._news.get_nowait()
            while True:
                if news is not None:
                    self._heard(report, news)
                news = self._news.get_nowait()
        except queue.Empty:
            return

    def _heard(self, report: Report, news: CopyNews) -> None:
        if news.kind == "done":
            report.made.append(news.task)
            report.sent += news.sent
        elif news.kind == "failed":
            report.failed.append((news.task, news.error))
        self._told(news)

    def _work(self, versions: Sequence[str], region: str | None) -> None:
        try:
            with stoppable(self._stop):
                while True:
                    with deferred(), self._lock:
                        task = self._registry.claim_copy(versions, region=region, tried=self._tried)
                        if task is None:
                            return
                        self._tried.add(task.id)
                        work = self._under_way[task.id] = _Work(task)
                    self._one(work)
        except Interrupted:
            return  # the one that waits asked for it
        except BaseException as error:
            self._fatal.append(error)
            self._stop.set()
        finally:
            self._news.put(None)  # so that nobody waits for more

    def _one(self, work: _Work) -> None:
        task, outcome = work.task, ""
        try:
            self._say("begun", work)
            sent = self._with_patience(work)
            if not self._registry.copy_done(task.id, work.total, self._on_disk(task)):
                raise _LostError
            self._say("done", work, sent=sent)
        except _LostError:
            if not work.abandoned:
                outcome = "it was given up: its version is gone, or another process has it."
        except GoldsmithError as error:
            outcome = error.message
            self._registry.copy_failed(task.id, outcome)
        except BaseException:
            with shielded():
                self._registry.copy_released(task.id)
            raise
        finally:
            self._under_way.pop(task.id, None)
        if outcome:
            self._say("failed", work, error=outcome)

    def _with_patience(self, work: _Work) -> int:
        """Make the copy; from another source where one is damaged, again after a while where that helps."""
        damaged: set[str] = set()
        for attempt in range(1, _TRIES + 1):
            try:
                return self._make(work, damaged)
            except RottenError as error:
                damaged.add(error.location)
                self._mark_damaged(work.task, error)
                problem: GoldsmithError = error
            except PlaceError as error:
                if error.permanent or attempt == _TRIES:
                    raise
                problem = error
                self._say("again", work, error=error.message)
                self._pause(_FIRST_PAUSE * 4 ** (attempt - 1), work)
        raise problem

    def _mark_damaged(self, task: CopyTask, error: RottenError) -> None:
        for origin in task.sources:
            if error.location in [disk_of(origin, disk.lun) for disk in task.disks]:
                self._registry.copy_damaged(task.version_id, origin, error.message)

    def _make(self, work: _Work, damaged: set[str]) -> int:
        task = work.task
        target = self._places.at(task.location, task.region)
        self._check(target)
        origins = self._origins(task, target, damaged)
        places = [self._places.at(origin) for origin in origins]
        work.total = sum(data_size(place, origin) for place, origin in zip(places, origins, strict=True))
        work.done = 0
        noted = time.monotonic()

        def tick(moved: int) -> None:
            nonlocal noted
            checkpoint()
            if work.abandoned:
                raise _LostError
            work.moved = time.monotonic()
            work.done += moved
            if work.moved - noted >= _NOTE_SECONDS:
                noted = work.moved
                if not self._registry.copy_progress(task.id, work.done, work.total):
                    raise _LostError
                self._say("progress", work)

        sent = 0
        for disk, place, origin in zip(task.disks, places, origins, strict=True):
            location = disk_of(task.location, disk.lun)
            made: Copied = copy_disk(place, origin, target, location, disk, tick, replace=task.made_before)
            sent += made.sent
        return sent

    def _check(self, target: Place) -> None:
        """Once for each place, as long as it is well."""
        if target.url not in self._checked:
            target.check(self._identity, used=self._registry.has_copies(target.url))
            self._checked.add(target.url)

    def _origins(self, task: CopyTask, target: Place, damaged: set[str]) -> list[str]:
        """What each disk is copied from: a copy in the same place, where that costs nothing or little; what
        the build has; a copy on this machine; any other.
        """
        nearest = next(iter(task.sources), "")
        near = nearest.startswith(f"{target.url}/") and (target.is_local or target.copies_within)
        own = nearest if near else ""
        finished = [self._finished[disk.lun] for disk in task.disks] if None in self._finished else []
        if finished and not own:
            return finished
        problems = []
        for origin in sorted(task.sources, key=lambda one: (one != own, not self._places.at(one).is_local)):
            if finished and origin != own:
                return finished
            files = [disk_of(origin, disk.lun) for disk in task.disks]
            if damaged.intersection(files):
                continue
            try:
                if self._places.at(origin).size(origin) is not None:
                    return files
                problems.append(f"{origin}: gone")
            except PlaceError as error:
                problems.append(f"{origin}: {error.message}")
        if finished:
            return finished
        if damaged:
            raise PlaceError("There is no sound replica left to copy from.", permanent=True)
        raise PlaceError(
            f"No replica can be copied from: {'; '.join(problems) or 'none is complete'}.", permanent=True
        )

    def _on_disk(self, task: CopyTask) -> int:
        target = self._places.at(task.location)
        return allocated_size(Path(task.location)) if target.is_local else task.disks[0].size

    def _say(self, kind: Said, work: _Work, *, sent: int = 0, error: str = "") -> None:
        self._news.put(CopyNews(kind, work.task, work.done, work.total, sent, error))

    def _pause(self, seconds: float, work: _Work) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            checkpoint()
            work.moved = time.monotonic()
            time.sleep(min(_LOOK_SECONDS, seconds))

    def _give_up_stalled(self) -> None:
        for work in list(self._under_way.values()):
            if not work.abandoned and time.monotonic() - work.moved > STALL_SECONDS:
                work.abandoned = True
                reason = f"no byte moved for {STALL_SECONDS / 60:g} minutes."
                self._registry.copy_failed(work.task.id, reason)
                self._say("failed", work, error=reason)

    def _over(self, threads: Sequence[Background]) -> bool:
        """Whether each thread has ended, or hangs in a copy that was given up."""
        going = sum(not thread.wait(0) for thread in threads)
        return going == 0 or going <= sum(work.abandoned for work in list(self._under_way.values()))

    def _drain(self, threads: Sequence[Background]) -> None:
        end = time.monotonic() + _DRAIN_SECONDS
        for thread in threads:
            thread.wait(max(0.0, end - time.monotonic()))
        for work in list(self._under_way.values()):  # one that hangs: the next process goes on with it
            work.abandoned = True
            self._registry.copy_released(work.task.id)
