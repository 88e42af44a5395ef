"""What every source offers the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from builder.disk.data_disk import DataDisk, DataDiskSize
from builder.disk.graph import BlockGraph

if TYPE_CHECKING:
    from builder.vm.access import BuildAccess

Generation = Literal["V1", "V2"]
OsType = Literal["Linux", "Windows"]
Devices = Literal["virtio", "compatible"]
"""What a guest has drivers for: virtio disk and network, or what every system knows without drivers of
its own (an AHCI disk and an e1000e network card)."""


def usual_devices(os_type: OsType) -> Devices:
    """What a guest of that kind has drivers for when nobody says otherwise: Windows has none for virtio."""
    return "compatible" if os_type == "Windows" else "virtio"


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    """A source pinned to an exact version, before anything is fetched.

    `identity` names the content for layer keys and ancestry (digest, or an immutable id);
    `exact_version` is what AIB reports as `exactVersion`; `version_number` is a gallery version's
    x.y.z when it has one; `size` in bytes, 0 when not known before it is prepared; `cached` says
    that `prepare` only opens what is there; `bootstrapped` that it makes the disk from packages, with
    programs of this machine, when it is not cached. `means` says in words how it comes here then.
    `identity` is empty where nothing may be written (`Services.read_only`) and none is drawn yet.
    `devices` is the hardware its guest has drivers for. `seeded`: whether a guest of it takes our
    cloud-init seed, as far as is known; without it nobody enters the finished image to validate it.
    `frozen` says what a source that gives another disk tomorrow (a bootstrap, an address whose file changes)
    gave here, when it is cached. `data_disks` are what the image has beside its OS disk. `parent` is the id
    of the gallery version or managed image it is, "" for anything else; `origin` says for a machine what it
    is: type, id, urn or uri, version, digest (builder/lineage.py). `plan` is the purchase
    plan it is sold under (name, publisher, product).
    """

    identity: str
    description: str
    os_type: OsType
    generation: Generation
    exact_version: str
    version_number: str | None = None
    size: int = 0
    cached: bool = False
    bootstrapped: bool = False
    means: str = ""
    devices: Devices = "virtio"
    seeded: bool = True
    frozen: str = ""
    data_disks: tuple[DataDiskSize, ...] = ()
    plan: Mapping[str, str] | None = None
    parent: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """A source's disk, read-only from here on. `size` in bytes. `access` is how it is entered when its
    guest knows the build user already; `seeded` whether it takes our cloud-init seed.
    """

    graph: BlockGraph
    size: int
    access: BuildAccess | None = None
    seeded: bool = True
    data_disks: tuple[DataDisk, ...] = ()


class ImageSource(Protocol):
    """Registered by type name (entry point group `goldsmith.sources`), constructed as
    `cls(source_model, services)`.
    """

    def resolve(self) -> ResolvedSource:
        """Find the exact version. Boots and downloads nothing. Raises NotFoundError, PreflightError."""

    def prepare(self) -> SourceDisk:
        """Bring the disk here (bootstrap, download, open), within the services' deadline."""
