"""What is written down about one build: `run.json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from builder.events import Outcome, Where

FORMAT_VERSION = 1

RunState = Literal["Running", "Canceling", "Succeeded", "PartiallySucceeded", "Failed", "Canceled"]
"""AIB's `lastRunStatus.runState`."""
RunSubState = Literal["", "Queued", "Building", "Customizing", "Optimizing", "Validating", "Distributing"]
"""AIB's `lastRunStatus.runSubState`, in stage order."""

SUB_STATE_OF_STAGE: dict[str, RunSubState] = {
    "Resolve": "Queued",
    "Source": "Building",
    "Customize": "Customizing",
    "Generalize": "Customizing",  # AIB's hidden last customizer
    "Gate": "Validating",
    "Validate": "Validating",
    "Distribute": "Distributing",
}
Moment = Annotated[datetime, AfterValidator(lambda time: time if time.tzinfo else time.replace(tzinfo=UTC))]
"""A time; one without a zone is UTC, so that any two can be compared."""
FINAL_STATES: frozenset[str] = frozenset({"Succeeded", "PartiallySucceeded", "Failed", "Canceled"})


class _Record(BaseModel):
    """camelCase on disk as AIB writes it; fields of a later minor version are passed over."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class TemplateRef(_Record):
    """Which template was built. `digest`: sha256 of the file's bytes."""

    file: str = ""
    name: str = ""
    digest: str = ""


class SourceRef(_Record):
    """Where the image started from; `exact_version` is what `latest` meant."""

    description: str = ""
    identity: str = ""
    exact_version: str = ""


class StepRecord(_Record):
    """One customizer, validator or target; `outcome` is None while it runs."""

    index: int
    name: str
    type: str = ""
    outcome: Outcome | None = None
    seconds: float = 0.0
    detail: str = ""


class StageRecord(_Record):
    """One stage; `outcome` is None while it runs."""

    name: str
    start_time: Moment
    outcome: Outcome | None = None
    seconds: float = 0.0
    steps: list[StepRecord] = Field(default_factory=list)


class PhaseRecord(_Record):
    """A part of the time; `where`: whether the guest worked or we did. `index` is the step's in its stage."""

    name: str
    seconds: float
    where: Where
    stage: str = ""
    index: int = 0


class RunOutput(_Record):
    """What AIB keeps as `runOutputs/<name>`. `artifact_uri`: a blob's plain address. Sizes in bytes."""

    name: str
    type: str
    path: str = ""
    artifact_id: str = ""
    artifact_uri: str = ""
    version: str = ""
    size: int = 0
    size_on_disk: int = 0
    data_disks: list[str] = Field(default_factory=list)


class RunRecord(_Record):
    """One build, as AIB's `lastRunStatus` and more. Times are UTC; `plan`: the steps of builder/plan.py;
    `lineage`: what builder/lineage.py records with every image."""

    format_version: int = FORMAT_VERSION
    run_id: str
    run_state: RunState = "Running"
    run_sub_state: RunSubState = "Queued"
    start_time: Moment = Field(default_factory=lambda: datetime.now(UTC))
    end_time: Moment | None = None
    message: str = ""
    template: TemplateRef = Field(default_factory=TemplateRef)
    workspace: str = ""
    source: SourceRef = Field(default_factory=SourceRef)
    plan: list[dict[str, Any]] = Field(default_factory=list)
    lineage: dict[str, Any] = Field(default_factory=dict)
    stages: list[StageRecord] = Field(default_factory=list)
    phases: list[PhaseRecord] = Field(default_factory=list)
    guest_seconds: float = 0.0
    engine_seconds: float = 0.0
    run_outputs: list[RunOutput] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    owner: dict[str, Any] = Field(default_factory=dict)
    exit_code: int | None = None
    error: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.run_state in FINAL_STATES

    @property
    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        return ((self.end_time or datetime.now(UTC)) - self.start_time).total_seconds()

    def stage(self, name: str) -> StageRecord | None:
        """The latest stage of that name."""
        return next((stage for stage in reversed(self.stages) if stage.name == name), None)

    def interrupt(self) -> None:
        """Its process is gone without a word: the run failed."""
        self.run_state = "Failed"
        self.message = "interrupted: the process ended without finishing the build"
        self.end_time = datetime.now(UTC)
        self.error = {"code": "Interrupted", "message": self.message}
