from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import builder.shell as module
from builder.cancellation import Interrupted
from builder.disk.data_disk import DataDisk
from builder.disk.graph import BlockGraph, DiskLayer
from builder.errors import CancelledError, ConflictError
from builder.gc import collect
from builder.runs import RunDirectory
from builder.services import Services
from builder.settings import Home
from builder.shell import open_shell
from builder.sources.base import Generation
from builder.stages.keep import keep
from builder.vm.accelerator import Accelerator
from builder.vm.access import BuildAccess
from builder.vm.kept import KeptMachine, kept_lock
from builder.vm.machine import Machine
from builder.vm.spec import MachineSpec
from builder.workspace import Workspace
from templates.model import ImageTemplate

TCG = cast("Accelerator", SimpleNamespace(name="tcg"))


def spec_in(workspace: Workspace, purpose: str, generation: Generation, *below: DiskLayer) -> MachineSpec:
    directory = workspace.file(purpose)
    directory.mkdir()
    (directory / "seed.iso").write_bytes(b"seed")
    (directory / "uefi-vars.fd").write_bytes(b"boot entry of the guest")
    overlay = workspace.file("os.qcow2" if purpose == "build" else "validation.qcow2")
    overlay.write_bytes(b"overlay")
    return MachineSpec(
        cpus=2,
        memory_mib=2048,
        generation=generation,
        disk=BlockGraph(below).over(overlay),
        directory=directory,
        serial_log=directory / "serial.log",
        accelerator=TCG,
        seed=directory / "seed.iso",
    )


def keep_it(workspace: Workspace, run: RunDirectory, spec: MachineSpec) -> Path:
    guest = SimpleNamespace(run=lambda *_, **__: None, disconnect=lambda: None, os_type="Linux")
    machine = SimpleNamespace(spec=spec, quit=lambda: None)
    session = SimpleNamespace(guest=guest, machine=machine, access=BuildAccess.generate())
    # A step with a secret: no memory is kept, and no machine is needed to freeze it.
    steps = (SimpleNamespace(secrets={"TOKEN": "hidden"}),)
    context = SimpleNamespace(run=run, workspace=workspace, customizers=steps, validators=())
    return keep(cast("Any", context), cast("Any", session))


Make = Callable[..., ImageTemplate]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestKeep:
    def test_the_finished_disk_stays_for_the_targets(self, template: Make, services: Services) -> None:
        run = RunDirectory.create(services.home)
        with Workspace(template(), services, run_id=run.run_id) as workspace:
            vhd = workspace.file("os.vhd")
            vhd.write_bytes(b"finished")
            spec = spec_in(workspace, "validation", "V1", DiskLayer(vhd, "raw", 8))
            kept = keep_it(workspace, run, spec)
            assert vhd.read_bytes() == b"finished"
            assert not spec.disk.top.path.exists()
        machine = KeptMachine.load(kept)
        assert machine.disk.layers == (
            DiskLayer(kept / "os.vhd", "raw", 8),
            DiskLayer(kept / "validation.qcow2", "qcow2"),
        )
        assert all(layer.path.exists() for layer in machine.disk.layers)
        assert machine.seed.read_bytes() == b"seed"

    def test_a_base_outside_the_workspace_is_only_named(
        self, template: Make, services: Services, tmp_path: Path
    ) -> None:
        base = tmp_path / "base.raw"
        base.write_bytes(b"base")
        run = RunDirectory.create(services.home)
        with Workspace(template(), services, run_id=run.run_id) as workspace:
            workspace.file("os.vhd").write_bytes(b"half flattened")
            kept = keep_it(workspace, run, spec_in(workspace, "build", "V1", DiskLayer(base, "raw")))
        assert KeptMachine.load(kept).disk.layers[0].path == base
        assert [name for name in files(kept) if name.startswith("os.")] == ["os.qcow2"]

    def test_data_disks_are_kept_with_their_luns(
        self, template: Make, services: Services, tmp_path: Path
    ) -> None:
        base = tmp_path / "data.vhd"
        base.write_bytes(b"data")
        run = RunDirectory.create(services.home)
        with Workspace(template(), services, run_id=run.run_id) as workspace:
            above, blank = workspace.file("data-lun2.qcow2"), workspace.file("data-lun3.qcow2")
            for overlay in (above, blank):
                overlay.write_bytes(b"overlay")
            spec = replace(
                spec_in(workspace, "build", "V1"),
                data_disks=(
                    DataDisk(2, 4, BlockGraph((DiskLayer(base, "raw", 4),)).over(above)),
                    DataDisk(3, 8, BlockGraph((DiskLayer(blank, "qcow2"),))),
                ),
            )
            kept = keep_it(workspace, run, spec)
        again = KeptMachine.load(kept).spec(tmp_path, TCG).data_disks
        assert [(disk.lun, disk.size) for disk in again] == [(2, 4), (3, 8)]
        assert again[0].graph.layers == (
            DiskLayer(base, "raw", 4),
            DiskLayer(kept / "data-lun2.qcow2", "qcow2"),
        )
        assert again[1].graph.top.path.read_bytes() == b"overlay"

    @pytest.mark.parametrize("generation", ["V1", "V2"])
    def test_uefi_variables_belong_to_the_disk(
        self, template: Make, services: Services, tmp_path: Path, generation: Generation
    ) -> None:
        run = RunDirectory.create(services.home)
        with Workspace(template(), services, run_id=run.run_id) as workspace:
            kept = keep_it(workspace, run, spec_in(workspace, "build", generation))
        again = KeptMachine.load(kept).spec(tmp_path, TCG)
        assert again.vars_file.exists() == (generation == "V2")
        if generation == "V2":
            again.vars_file.write_bytes(b"changed in the shell")
            assert (kept / "build" / "uefi-vars.fd").read_bytes() == b"changed in the shell"


@pytest.fixture
def run(home: Home, services: Services) -> RunDirectory:
    made = RunDirectory.create(home)
    made.kept.mkdir()
    facts = {"cpus": 1, "memoryMib": 512, "generation": "V1", "osType": "Linux", "network": True}
    facts |= {"seed": str(made.kept / "seed.iso"), "disk": []}
    (made.kept / "machine.json").write_text(json.dumps(facts))
    BuildAccess.generate().save(made.kept / "access.json")
    return made


class TestShell:
    @pytest.fixture(autouse=True)
    def _no_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module.accelerator, "choose", lambda *_: TCG)
        monkeypatch.setattr(Machine, "__enter__", lambda self: self)
        monkeypatch.setattr(Machine, "ssh_port", 22)
        guest = SimpleNamespace(disconnect=lambda: None)
        monkeypatch.setattr(module, "wait_for_ssh", lambda *_, **__: guest)

    def _inside(self, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], int]) -> None:
        monkeypatch.setattr(module, "ssh_shell", lambda _port, _access, directory: look(directory))

    def test_its_scratch_is_private_in_the_home_and_gone_afterwards(
        self, services: Services, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look(directory: Path) -> int:
            (directory / "ssh.key").write_text("secret")
            assert directory.stat().st_mode & 0o777 == 0o700
            assert directory.parent == services.home.staging
            assert collect(services.home, None, keep_days=0).removed == []
            with pytest.raises(ConflictError, match="in use by another shell"):
                open_shell(run.run_id, services)
            return 7

        run.record.run_state = "Failed"
        run.save()
        self._inside(monkeypatch, look)
        assert open_shell(run.run_id, services) == 7
        assert files(services.home.staging) == []
        assert list(services.home.staging.glob(".shell-*")) == []
        assert not kept_lock(run.kept).path.exists()

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
    def test_a_signal_cleans_up_and_ends_with_130(
        self,
        services: Services,
        run: RunDirectory,
        monkeypatch: pytest.MonkeyPatch,
        number: signal.Signals,
    ) -> None:
        def look(directory: Path) -> int:
            (directory / "ssh.key").write_text("secret")
            os.kill(os.getpid(), number)
            return 0

        self._inside(monkeypatch, look)
        with pytest.raises(CancelledError, match=number.name) as caught:
            open_shell(run.run_id, services)
        assert caught.value.exit_code == 130
        assert isinstance(caught.value.__cause__, Interrupted)
        assert files(services.home.staging) == []

    def test_what_a_killed_one_left_is_found_by_gc(
        self, services: Services, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look(directory: Path) -> int:
            (directory / "ssh.key").write_text("secret")
            return 0

        self._inside(monkeypatch, look)
        with monkeypatch.context() as patch:
            patch.setattr(module, "clear", lambda *_, **__: [])
            open_shell(run.run_id, services)
        assert any("ssh.key" in name for name in files(services.home.staging))
        assert [item.kind for item in collect(services.home, None).removed if item.kind != "run"] == [
            "workspace"
        ]
        assert files(services.home.staging) == []
