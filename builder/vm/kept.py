"""A machine that was kept: its disk, its seed, its keys, enough to boot it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.disk.data_disk import DataDisk
from builder.disk.extents import link_or_copy
from builder.disk.graph import BlockGraph, DiskLayer
from builder.errors import NotFoundError
from builder.lock import FileLock
from builder.sources.base import Devices, Generation, OsType, usual_devices
from builder.vm.access import BuildAccess
from builder.vm.spec import MachineSpec

if TYPE_CHECKING:
    from builder.vm.accelerator import Accelerator


MACHINE_FILE = "machine.json"
ACCESS_FILE = "access.json"


def kept_lock(kept: Path) -> FileLock:
    """The lock of a run's `kept` folder, beside it: a shell holds it, gc takes it before removing."""
    return FileLock(kept.with_name("kept.lock"))


@dataclass(frozen=True, slots=True)
class KeptMemory:
    """The memory of a kept machine: its file, the machine it fits (vm/identity.py), the processes of the
    connection that it holds.
    """

    file: Path
    key: str
    sessions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeptMachine:
    """What `save` wrote beside the kept disk. `memory_mib` in MiB."""

    cpus: int
    memory_mib: int
    generation: Generation
    os_type: OsType
    devices: Devices
    network: bool
    disk: BlockGraph
    seed: Path
    access: BuildAccess
    uefi_vars: Path | None = None
    memory: KeptMemory | None = None
    data_disks: tuple[DataDisk, ...] = ()

    @classmethod
    def of(
        cls, spec: MachineSpec, access: BuildAccess, moved: dict[Path, Path], memory: KeptMemory | None = None
    ) -> KeptMachine:
        """`spec` after its files moved (`moved`: old directory or file -> new)."""
        seed = _new(spec.seed or Path(), moved)
        return cls(
            spec.cpus,
            spec.memory_mib,
            spec.generation,
            spec.os_type,
            spec.devices or usual_devices(spec.os_type),
            spec.network,
            _moved(spec.disk, moved),
            seed,
            access,
            _new(spec.vars_file, moved) if spec.generation == "V2" else None,
            replace(memory, file=_new(memory.file, moved)) if memory else None,
            tuple(replace(one, graph=_moved(one.graph, moved)) for one in spec.data_disks),
        )

    def save(self, directory: Path) -> None:
        """Write machine.json and, readable only by its owner, access.json."""
        self.access.save(directory / ACCESS_FILE)
        facts: dict[str, object] = {
            "formatVersion": 1,
            "cpus": self.cpus,
            "memoryMib": self.memory_mib,
            "generation": self.generation,
            "osType": self.os_type,
            "devices": self.devices,
            "network": self.network,
            "seed": str(self.seed),
            "uefiVars": str(self.uefi_vars) if self.uefi_vars else None,
            "memory": None,
            "disk": _as_data(self.disk),
        }
        if self.data_disks:
            facts["dataDisks"] = [
                {"lun": one.lun, "size": one.size, "disk": _as_data(one.graph)} for one in self.data_disks
            ]
        if self.memory is not None:
            memory = self.memory
            facts["memory"] = {"file": str(memory.file), "key": memory.key, "sessions": memory.sessions}
        (directory / MACHINE_FILE).write_text(json.dumps(facts, indent=2) + "\n")

    @classmethod
    def load(cls, directory: Path) -> KeptMachine:
        """Read what `save` wrote. Raises NotFoundError when nothing usable is there."""
        try:
            facts = json.loads((directory / MACHINE_FILE).read_text())
            memory = facts.get("memory")
            return cls(
                facts["cpus"],
                facts["memoryMib"],
                facts["generation"],
                facts["osType"],
                facts.get("devices") or usual_devices(facts["osType"]),
                facts["network"],
                _graph(facts["disk"]),
                Path(facts["seed"]),
                BuildAccess.load(directory / ACCESS_FILE),
                Path(facts["uefiVars"]) if facts.get("uefiVars") else None,
                KeptMemory(Path(memory["file"]), memory["key"], tuple(memory["sessions"]))
                if memory
                else None,
                tuple(
                    DataDisk(one["lun"], one["size"], _graph(one["disk"]))
                    for one in facts.get("dataDisks", ())
                ),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotFoundError(
                f"No kept machine in {directory}.",
                hint="Build with --on-error keep; 'build gc' drops old ones.",
            ) from error

    def spec(self, directory: Path, accelerator: Accelerator) -> MachineSpec:
        """The machine again, with its private files in `directory`. Its UEFI variables are a link of
        the kept ones: the boot entries belong to the disk. Raises OSError.
        """
        spec = MachineSpec(
            cpus=self.cpus,
            memory_mib=self.memory_mib,
            generation=self.generation,
            disk=self.disk,
            directory=directory,
            serial_log=directory / "serial.log",
            second_serial_log=directory / "ttyS1.log",
            accelerator=accelerator,
            seed=self.seed,
            network=self.network,
            os_type=self.os_type,
            devices=self.devices,
            name="goldsmith-shell",
            data_disks=self.data_disks,
        )
        if self.uefi_vars is not None and self.uefi_vars.exists():
            link_or_copy(self.uefi_vars, spec.vars_file)
        return spec


def _moved(graph: BlockGraph, moved: dict[Path, Path]) -> BlockGraph:
    return BlockGraph(tuple(DiskLayer(_new(x.path, moved), x.format, x.size) for x in graph.layers))


def _as_data(graph: BlockGraph) -> list[dict[str, Any]]:
    return [{"path": str(x.path), "format": x.format, "size": x.size} for x in graph.layers]


def _graph(data: list[dict[str, Any]]) -> BlockGraph:
    return BlockGraph(tuple(DiskLayer(Path(x["path"]), x["format"], x["size"]) for x in data))


def _new(path: Path, moved: dict[Path, Path]) -> Path:
    for old, new in moved.items():
        if path == old:
            return new
        if old in path.parents:
            return new / path.relative_to(old)
    return path
