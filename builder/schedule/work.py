"""The work of a schedule: its template read, its source looked up, its builds done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import ExitCode, GoldsmithError
from builder.schedule.record import Ended, Schedule
from templates.arm_id import parse_gallery_image
from templates.model.distribute import SharedImageDistributor

if TYPE_CHECKING:
    from builder.cli.reading import Reading
    from builder.jobs import Job
    from builder.registry.store import Registry
    from builder.run_record import RunRecord
    from builder.settings import Home, Settings
    from builder.together.crew import Shown

_STATES = {
    ExitCode.OK: "Succeeded",
    ExitCode.PARTIALLY_DISTRIBUTED: "PartiallySucceeded",
    ExitCode.CANCELLED: "Canceled",
}


@dataclass(frozen=True, slots=True)
class Arguments:
    """What `build run` is given beside the template, files as absolute paths; and of how many versions of a
    target's definition the newest stay after a good build (None: all).
    """

    var: tuple[str, ...] = ()
    var_file: tuple[str, ...] = ()
    parameters: str = ""
    output_dir: str = "."
    strict: bool = False
    keep_last: int | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Arguments:
        """From the registry's column."""
        return cls(
            var=tuple(data.get("var", ())),
            var_file=tuple(data.get("varFile", ())),
            parameters=str(data.get("parameters", "")),
            output_dir=str(data.get("outputDir", ".")),
            strict=bool(data.get("strict", False)),
            keep_last=data.get("keepLast"),
        )

    def to_json(self) -> dict[str, Any]:
        """For the registry's column."""
        return {
            "var": list(self.var),
            "varFile": list(self.var_file),
            "parameters": self.parameters,
            "outputDir": self.output_dir,
            "strict": self.strict,
            "keepLast": self.keep_last,
        }

    def reading(self, home: Home) -> Reading:
        """How the template is read. Raises UsageError, TemplateError for a bad parameter file."""
        from builder.cli.reading import Reading

        files = [Path(file) for file in self.var_file]
        parameters = Path(self.parameters) if self.parameters else None
        return Reading.of(home, self.var, files, parameters, strict=self.strict)


@dataclass(frozen=True, slots=True)
class SourceNow:
    """What a template would start from: a fixed version, and what names the content ("" when nothing is
    here yet).
    """

    version: str
    identity: str

    def differs(self, version: str, identity: str) -> bool:
        """Whether it is another one than that of a build that was made of `version` and `identity`."""
        if not version and not identity:
            return True
        if self.version.casefold() != version.casefold():
            return True
        return bool(self.identity and identity and self.identity != identity)


class Work:
    """Does it on this machine, in processes of their own (as `build --jobs` does)."""

    def __init__(self, home: Home, settings: Settings, registry: Registry, shown: Shown) -> None:
        self._home = home
        self._registry = registry
        self._settings = settings
        self._shown = shown

    def source(self, schedule: Schedule) -> SourceNow:
        """What the template's source means now; of several templates, all together. Raises GoldsmithError."""
        _, jobs = self._read(schedule)
        found = [source_of(self._home, self._settings, job) for job in jobs]
        return SourceNow(
            "\n".join(one.version for one in found),
            "\n".join(one.identity for one in found) if all(one.identity for one in found) else "",
        )

    def build(self, schedule: Schedule) -> Ended:
        """Build all templates of the file. How that ended is the result, also when it could not begin."""
        from builder.engine import BuildOptions
        from builder.jobs import check_places
        from builder.together.crew import Crew, builds_of

        try:
            reading, jobs = self._read(schedule)
            arguments = Arguments.of(schedule.arguments)
            check_places(jobs, Path(arguments.output_dir))
            builds = builds_of(reading, jobs, Path(arguments.output_dir), BuildOptions(on_error="cleanup"))
        except GoldsmithError as error:
            return Ended("Failed", message=line_of(error))
        codes = Crew(builds, 1, self._shown, stop_seconds=self._settings.cleanup_timeout).run()
        records = [record for build in builds if (record := self._record(build.run_id)) is not None]
        ended = self._ended(schedule, codes, records)
        if ended.outcome == "Succeeded" and arguments.keep_last is not None:
            told = self._prune(jobs, arguments.keep_last)
            ended = replace(ended, message="; ".join(filter(None, (ended.message, told))))
        return ended

    def _read(self, schedule: Schedule) -> tuple[Reading, list[Job]]:
        from builder.jobs import jobs_of

        reading = Arguments.of(schedule.arguments).reading(self._home)
        return reading, jobs_of([reading.read(Path(schedule.template))])

    def _record(self, run_id: str) -> RunRecord | None:
        from builder.runs import find

        with suppress(GoldsmithError):
            return find(self._home, run_id).load() if run_id else None
        return None

    def _ended(self, schedule: Schedule, codes: Sequence[ExitCode], records: Sequence[RunRecord]) -> Ended:
        from builder.jobs import worst

        code = worst(codes)
        bad = next((record for record in records if record.run_state != "Succeeded"), None)
        last = bad or (records[-1] if records else None)
        ended = Ended(
            outcome=_STATES.get(code, "Failed"),
            run_id=last.run_id if last else "",
            message=(last.message.splitlines() or [""])[0] if last else f"exit code {int(code)}",
        )
        if code != ExitCode.OK:
            return ended
        made_of = self._made_of(schedule, records)
        return Ended(ended.outcome, ended.run_id, ended.message, made_of.identity, made_of.version)

    def _prune(self, jobs: Sequence[Job], keep_last: int) -> str:
        """Delete what is beyond the newest versions; what was done, in words. A failure is one of these
        words: the image is there.
        """
        from builder.pruning import prune
        from builder.replication.place import Places
        from builder.retention import Policy

        gone, problems = 0, []
        places = Places(self._home, self._settings)
        for definition in dict.fromkeys(_definitions(jobs)):
            try:
                now = datetime.now(UTC)
                policy = Policy(keep_last)
                for one in prune(self._registry, places, definition, policy, now, dry_run=False):
                    gone += one.verdict.goes and not one.problem
                    problems += [one.problem] if one.problem else []
            except GoldsmithError as error:
                problems.append(error.message)
        told = [f"{gone} old version{'s' if gone > 1 else ''} deleted"] if gone else []
        return "; ".join([*told, *(f"not pruned: {problem}" for problem in problems)])

    def _made_of(self, schedule: Schedule, records: Sequence[RunRecord]) -> SourceNow:
        """What the next look compares with: the source of this build. One that patches a gallery's latest
        version is its own source from now on, and what it made itself is nothing new.
        """
        made_of = SourceNow(
            "\n".join(record.source.exact_version for record in records),
            "\n".join(record.source.identity for record in records),
        )
        outputs = {out.artifact_id.casefold() for record in records for out in record.run_outputs}
        with suppress(GoldsmithError):
            now = self.source(schedule)
            if any(version.casefold() in outputs for version in now.version.split("\n")):
                return now
        return made_of


def _definitions(jobs: Sequence[Job]) -> Iterator[str]:
    """The ids of the image definitions that the templates add versions to."""
    for job in jobs:
        for target in job.template.properties.distribute:
            if isinstance(target, SharedImageDistributor):
                yield str(parse_gallery_image(target.gallery_image_id).definition)


def source_of(home: Home, settings: Settings, job: Job) -> SourceNow:
    """What a template's source means now. Nothing is fetched or written. Raises GoldsmithError."""
    from builder.extensions import make_source
    from builder.jobs import services_of

    services = services_of(home, settings, job, read_only=True)
    source = make_source(job.template.properties.source, services).resolve()
    return SourceNow(source.exact_version, source.identity)


def line_of(error: GoldsmithError) -> str:
    """An error in one line."""
    from builder.ui.failure import error_to_dict, one_line

    return " ".join((one_line(error_to_dict(error)), *error.details)).splitlines()[0]
