"""What a build's own process is told: which template to build, and how. No secret is on its command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.engine import BuildOptions
    from builder.jobs import Job
    from builder.settings import Home, Settings
    from templates import Document


@dataclass(frozen=True, slots=True)
class Task:
    """Travels through the standard input of the process. `digest` is of the file's text: what is built is
    what was looked at when the command began. `text` is the template itself when it came by our own
    standard input, which can be read only once.
    """

    file: str
    place: int
    digest: str
    text: str | None
    strict: bool
    variables: Mapping[str, str]
    parameters: Mapping[str, Any] | None
    output_dir: str
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        job: Job,
        *,
        strict: bool,
        variables: Mapping[str, str],
        parameters: Mapping[str, Any] | None,
        output_dir: Path,
        options: BuildOptions,
    ) -> Task:
        """The task that builds `job` as this command would."""
        from templates.files import STDIN

        document = job.document
        return cls(
            file=document.file,
            place=job.place,
            digest=_digest(document.text),
            text=document.text if document.file == str(STDIN) else None,
            strict=strict,
            variables=dict(variables),
            parameters=None if parameters is None else dict(parameters),
            output_dir=str(output_dir.absolute()),
            options=asdict(options),
        )

    def to_bytes(self) -> bytes:
        """What `from_bytes` reads."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Task:
        """The task that was sent."""
        return cls(**json.loads(data))

    def job(self, home: Home, settings: Settings) -> Job:
        """Read the template again. Raises UsageError when its file is not what it was, TemplateError."""
        from builder.cli.reading import Reading
        from builder.jobs import jobs_of

        reading = Reading(settings, self.variables, self.parameters, self.strict)
        document: Document = reading.read(Path(self.file))
        if _digest(document.text) != self.digest:
            raise UsageError(
                f"{self.file} was changed while other builds of the same command ran.",
                hint="Build it again; what it says now was not checked when the command began.",
            )
        return jobs_of([document])[self.place]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
