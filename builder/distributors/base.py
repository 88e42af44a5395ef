"""What every distributor offers the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from builder.changes import Change
from builder.disk.data_disk import DataDiskSize
from builder.errors import PartialDistributionError
from builder.sources.base import Generation, OsType


@dataclass(frozen=True, slots=True)
class ExpectedImage:
    """What will come out of the build, known before anything boots. `size` is the virtual size in
    bytes (0 when unknown); `source_version` is the x.y.z of a gallery source; `plan` the purchase plan of
    the source (name, publisher, product). A build's image is always Generalized.
    """

    os_type: OsType
    generation: Generation
    size: int
    source_version: str | None = None
    data_disks: tuple[DataDiskSize, ...] = ()
    plan: Mapping[str, str] | None = None
    os_state: Literal["Generalized", "Specialized"] = "Generalized"


@dataclass(frozen=True, slots=True)
class FinishedDataDisk:
    """A flattened data disk, a fixed VHD beside the OS disk's; see FinishedImage."""

    lun: int
    vhd: Path
    virtual_size: int
    digest_of: Callable[[], str]

    @property
    def digest(self) -> str:
        """See FinishedImage."""
        return self.digest_of()


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """The flattened result: a fixed VHD in the home (same file system as images and regions).

    `virtual_size` in bytes; `digest_of` gives the digest that identifies the content (data extents, not
    holes), and waits for it when it is still being taken. `reused`: an earlier build made it. `parent` is the
    id of the gallery version or managed image it was made from, `lineage` what builder/lineage.py says.
    `plan` as in ExpectedImage.
    """

    vhd: Path
    virtual_size: int
    os_type: OsType
    generation: Generation
    digest_of: Callable[[], str]
    source: str
    template: str
    run_id: str
    source_version: str | None = None
    reused: bool = False
    data_disks: tuple[FinishedDataDisk, ...] = ()
    plan: Mapping[str, str] | None = None
    parent: str = ""
    lineage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """See `digest_of`."""
        return self.digest_of()


@dataclass(frozen=True, slots=True)
class Artifact:
    """One run output: `artifact_id` for registry targets, `path` for what is on this machine, `uri` (without
    any token) for what is elsewhere. Sizes in bytes; `data_disks` are the files or addresses of the data
    disks, by lun.
    """

    run_output: str
    type: str
    path: Path | None = None
    uri: str = ""
    artifact_id: str = ""
    version: str = ""
    size: int = 0
    size_on_disk: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    data_disks: tuple[Path | str, ...] = ()

    @property
    def place(self) -> str:
        """Where it is: its ARM id, its address or its path."""
        return self.artifact_id or self.uri or str(self.path or "")


class PublishedInPartError(PartialDistributionError):
    """The target was served, but not everywhere it was to be: `artifact` is there."""

    def __init__(
        self, message: str, *, artifact: Artifact, details: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.artifact = artifact


@runtime_checkable
class Early(Protocol):
    """A distributor that can do a part of its work beside the proof."""

    def begin(self, vhd: Path) -> None:
        """`vhd` will not change any more; whether it is handed out is not known yet. Never raises; what was
        begun in vain goes with `release`."""


@runtime_checkable
class Several(Protocol):
    """A distributor whose data disks become files of their own."""

    def more_targets(self) -> Sequence[str]:
        """Like `Distributor.target`, for each of them; asked after `preflight`."""


@runtime_checkable
class Leaving(Protocol):
    """A distributor that says whether its target is on another machine; without, it is on this one."""

    @property
    def leaves(self) -> bool:
        """Whether what it makes leaves this machine: then the VHD gate stands before it."""


def leaves(distributor: Distributor) -> bool:
    """Whether its target is on another machine."""
    return isinstance(distributor, Leaving) and bool(distributor.leaves)


class Distributor(Protocol):
    """Registered by type name (entry point group `goldsmith.distributors`), constructed as
    `cls(distributor_model, services)`.
    """

    def target(self) -> str:
        """What two targets of one template cannot both be; "" when `preflight` reserves it."""

    def preflight(self, expected: ExpectedImage) -> str:
        """Check the target before anything boots, reserve what must be reserved, and say in one
        line what will be made ("version 1.0.3 of app/web in westus"). Raises PreflightError and kin.
        """

    def changes(self) -> Sequence[Change]:
        """What `distribute` will make, replace and delete; asked after `preflight`. Only looks."""

    def distribute(self, image: FinishedImage) -> Artifact:
        """Make it. All or nothing: a failure leaves no half-made target; PublishedInPartError tells of one
        that can be used.
        """

    def release(self) -> None:
        """Give up what `preflight` reserved and `distribute` did not use. Never raises."""
