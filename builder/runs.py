"""The records of builds: `runs/<run-id>/`, which outlives the workspace.

The JSON files are the truth; the registry's run rows only link to the id.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from builder.errors import ConflictError, NotFoundError, UsageError
from builder.owner import UNKNOWN_FOR, Owner
from builder.record_sink import RecordSink
from builder.run_record import FORMAT_VERSION, RunRecord, TemplateRef
from builder.workspace import write_json
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.plan import Plan
    from builder.redact import Redactor
    from builder.settings import Home
    from templates import Document
    from templates.model import ImageTemplate

__all__ = ["RecordSink", "RunDirectory", "RunRecord", "cancel", "find", "latest", "list_runs", "new_run_id"]

_CANCEL = "cancel"


class RunRecordError(GoldsmithError):
    """A run.json that cannot be read, or that a newer Goldsmith wrote."""

    code = "RunRecord"


def _file_of(document: Document | None) -> str:
    """The template's file, whole: who reads the record is in another folder."""
    from templates.files import STDIN

    if document is None or document.file == str(STDIN):
        return "" if document is None else document.file
    return os.path.abspath(document.file)  # noqa: PTH100 - lexically; links stay as they were typed


class RunDirectory:
    """One run's directory and, in the process that builds, its record."""

    def __init__(self, path: Path, record: RunRecord | None = None) -> None:
        self.path = path
        self._record = record
        self._lock = threading.Lock()

    @classmethod
    def create(
        cls,
        home: Home,
        *,
        template: ImageTemplate | None = None,
        document: Document | None = None,
        run_id: str | None = None,
    ) -> RunDirectory:
        """Make the directory of a new run, owned by this process, and its first record."""
        home.runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = run_id or new_run_id()
        path = home.runs / name
        path.mkdir(mode=0o700)
        file = _file_of(document)
        record = RunRecord(
            run_id=name,
            owner=Owner.current().to_json(),
            template=TemplateRef(file=file, name=template.name if template else "", digest=_digest(file)),
        )
        run = cls(path, record)
        run.save()
        return run

    @property
    def run_id(self) -> str:
        """The run's name, sortable by time."""
        return self.path.name

    @property
    def record(self) -> RunRecord:
        """The record held in memory by the building process, else as it is on disk."""
        if self._record is None:
            self._record = self.read()
        return self._record

    @property
    def record_file(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def events(self) -> Path:
        """Every event as a JSON line."""
        return self.path / "events.jsonl"

    @property
    def customization_log(self) -> Path:
        """AIB's customization.log."""
        return self.path / "customization.log"

    @property
    def validation_log(self) -> Path:
        """AIB's validation.log."""
        return self.path / "validation.log"

    @property
    def serial_log(self) -> Path:
        """What the guest wrote to its serial console."""
        return self.path / "serial.log"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def kept(self) -> Path:
        """Disk and memory kept by `--on-error keep`; `build gc` drops it after `keep_for_days`."""
        return self.path / "kept"

    @property
    def cancel_requested(self) -> bool:
        """Whether `build runs cancel` was asked for this run."""
        return (self.path / _CANCEL).exists()

    def save(self) -> None:
        """Write the record; a reader sees the old or the new one."""
        with self._lock:
            write_json(self.record_file, self.record.model_dump(mode="json", by_alias=True))

    def set_source(self, *, description: str, identity: str, exact_version: str) -> None:
        """Note what the source was resolved to (AIB's `exactVersion`)."""
        source = self.record.source
        source.description, source.identity, source.exact_version = description, identity, exact_version
        self.save()

    def set_lineage(self, lineage: Mapping[str, Any]) -> None:
        """Note what the images of the run were made from (builder/lineage.py)."""
        self.record.lineage = dict(lineage)
        self.save()

    def set_plan(self, plan: Plan, redactor: Redactor) -> None:
        """Note what is to be done, without secrets (a step's name may be made of a parameter)."""
        self.record.plan = [
            {
                to_camel(key): redactor.scrub(value) if isinstance(value, str) else value
                for key, value in asdict(step).items()
            }
            for step in plan.steps
        ]
        self.save()

    def read(self) -> RunRecord:
        """The record as it stands on disk. Raises NotFoundError, RunRecordError."""
        try:
            data = json.loads(self.record_file.read_bytes())
            version = data.get("formatVersion", 0)
            if version > FORMAT_VERSION:
                raise RunRecordError(
                    f"{self.record_file} was written by a newer Goldsmith (format {version}).",
                    hint="Upgrade Goldsmith to read it.",
                )
            return RunRecord.model_validate(data)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(
                f"There is no run {self.run_id}.", hint="'build runs list' shows all runs."
            ) from error
        except (OSError, ValueError, TypeError, AttributeError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            raise RunRecordError(f"{self.record_file} cannot be read: {reason}") from error

    def load(self) -> RunRecord:
        """The record as it is to be understood: a run whose process died has failed, one that was
        asked to stop is `Canceling`. Writes nothing. Raises NotFoundError, RunRecordError.
        """
        record = self.read()
        if record.finished:
            return record
        if not is_live(record):
            # The owner may have written its end between our two looks.
            record = self.read()
            if not record.finished:
                record.interrupt()
                record.end_time = datetime.fromtimestamp(self.record_file.stat().st_mtime, UTC)
        elif self.cancel_requested:
            record.run_state = "Canceling"
        return record


def new_run_id() -> str:
    """A new id, sortable by time (UTC), e.g. 20261122T001530-ab12cd."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def is_live(record: RunRecord) -> bool:
    """Whether the process that builds it still runs; of one that cannot be seen from here, whether it may."""
    owner = Owner.from_json(record.owner)
    if owner is None:
        return False
    known = owner.known_alive()
    return datetime.now(UTC) - record.start_time < UNKNOWN_FOR if known is None else known


def directories(home: Home) -> list[RunDirectory]:
    """All run directories, newest first."""
    if not home.runs.is_dir():
        return []
    paths = sorted((item for item in home.runs.iterdir() if (item / "run.json").is_file()), reverse=True)
    return [RunDirectory(path) for path in paths]


def list_runs(home: Home) -> list[RunRecord]:
    """All runs, newest first. One that cannot be read is listed as failed, saying so."""
    records = []
    for run in directories(home):
        try:
            records.append(run.load())
        except GoldsmithError as error:
            start = datetime.fromtimestamp(run.record_file.stat().st_mtime, UTC)
            records.append(
                RunRecord(run_id=run.run_id, run_state="Failed", start_time=start, message=error.message)
            )
    return records


def latest(home: Home) -> RunDirectory:
    """The newest run. Raises NotFoundError when there is none."""
    runs = directories(home)
    if not runs:
        raise NotFoundError("There are no runs yet.", hint="Start one: build TEMPLATE")
    return runs[0]


def under_way(home: Home) -> RunDirectory:
    """The newest run that goes on. Raises NotFoundError when none does."""
    for run in directories(home):
        with contextlib.suppress(GoldsmithError):
            if not run.load().finished:
                return run
    raise NotFoundError("No build is under way.", hint="'build runs list' shows all runs.")


def find(home: Home, name: str = "latest") -> RunDirectory:
    """The run of that id, of an unambiguous beginning of it, or the `latest`.

    Raises NotFoundError, UsageError for an ambiguous beginning.
    """
    if name == "latest":
        return latest(home)
    runs = directories(home)
    matching = [run for run in runs if run.run_id.lower().startswith(name.lower())] if name else []
    exact = [run for run in matching if run.run_id.lower() == name.lower()]
    if len(exact or matching) == 1:
        return (exact or matching)[0]
    if matching:
        raise UsageError(
            f"{name} is the beginning of {len(matching)} runs.",
            details=tuple(run.run_id for run in matching[:10]),
            hint="Write more of the id.",
        )
    raise NotFoundError(f"There is no run {name}.", hint="'build runs list' shows all runs.")


def cancel(run: RunDirectory) -> Owner:
    """Ask a run to stop, as AIB does: at once, without waiting for it. Returns who was asked.

    A file in the run's directory holds the request, SIGINT tells the process. Raises
    ConflictError when the run is not going on, or goes on in another container.
    """
    record = run.load()
    owner = Owner.from_json(record.owner)
    if record.finished or owner is None:
        raise ConflictError(
            f"Run {run.run_id} is not running: it is {record.run_state}.",
            hint="'build runs show' says how it ended.",
        )
    if owner.elsewhere:
        raise ConflictError(
            f"Run {run.run_id} goes on outside of this container, where no signal goes from here.",
            hint="Cancel it where it was started, or stop the container that it is in (docker stop).",
        )
    request = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "by": os.getpid()}
    write_json(run.path / _CANCEL, request)
    try:
        if owner.signal(signal.SIGINT):
            return owner
    except PermissionError as error:
        raise ConflictError(
            f"Run {run.run_id} belongs to another user (pid {owner.pid}).", hint="Cancel it as that user."
        ) from error
    raise ConflictError(f"Run {run.run_id} ended just now.", hint="'build runs show' says how.")


def _digest(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    except OSError:
        return ""
