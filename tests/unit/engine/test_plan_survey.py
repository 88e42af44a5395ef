"""The survey behind `build plan`: what a build would do, found without doing any of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import templates
from builder import doctor, preflight
from builder import submit as module
from builder.changes import Change
from builder.distributors.vhd import VhdDistributor
from builder.doctor import Result
from builder.errors import EnvironmentProblem, NotFoundError
from builder.registry.records import Delivery, ImageRecord, ReplicaRecord
from builder.services import Services
from builder.sources.base import ResolvedSource
from builder.sources.bases import BaseMeta
from builder.submit import survey
from builder.survey import Survey
from builder.workspace import Workspace
from engine.conftest import SUBSCRIPTION
from templates.diagnostics import TemplateError
from templates.model import ImageTemplate

GIB = 1024**3
COMPUTE = f"{SUBSCRIPTION}/resourceGroups/goldsmith/providers/Microsoft.Compute"
GALLERY = f"{COMPUTE}/galleries/app"
DEFINITION = f"{GALLERY}/images/web"
IMAGE = f"{COMPUTE}/images/web"
FOUND = ResolvedSource("id", "Debian 12", "Linux", "V2", "1.2.3", "1.2.3", 2 * 1024**3, cached=True)
DEBIAN = {
    "type": "PlatformImage",
    "publisher": "Debian",
    "offer": "debian-12",
    "sku": "12",
    "version": "latest",
}


class Source:
    """What `make_source` gives."""

    resolved = FOUND

    def resolve(self) -> ResolvedSource:
        return self.resolved


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, services: Services) -> Iterator[None]:
    """A machine that has everything; the tests take from it what they need gone."""
    Source.resolved = FOUND
    monkeypatch.setattr(module, "make_source", lambda *_: Source())
    monkeypatch.setattr(doctor, "check_for_build", list)
    monkeypatch.setattr(doctor, "check_for_bootstrap", list)
    monkeypatch.setattr(module, "check_firmware", lambda _: None)
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BUILD", 0)
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BASE", 0)
    yield
    if "registry" in vars(services):
        services.registry.close()


def beside() -> list[dict[str, Any]]:
    gallery = {"type": "Microsoft.Compute/galleries", "apiVersion": "2022-03-03", "name": "app"}
    definition = {
        "type": "Microsoft.Compute/galleries/images",
        "apiVersion": "2022-03-03",
        "name": "app/web",
        "properties": {
            "osType": "Linux",
            "osState": "Generalized",
            "hyperVGeneration": "V2",
            "identifier": {"publisher": "me", "offer": "o", "sku": "s"},
        },
    }
    return [{**gallery, "location": "local", "properties": {}}, {**definition, "location": "local"}]


def shared(name: str = "gallery", version: str = "", **more: Any) -> dict[str, Any]:
    arm_id = f"{DEFINITION}/versions/{version}" if version else DEFINITION
    return {"type": "SharedImage", "runOutputName": name, "galleryImageId": arm_id, **more}


def managed() -> dict[str, Any]:
    return {"type": "ManagedImage", "runOutputName": "image", "imageId": IMAGE, "location": "local"}


def vhd(name: str = "out", uri: str = "") -> dict[str, Any]:
    return {"type": "VHD", "runOutputName": name, "uri": uri}


def read(
    services: Services,
    *distribute: dict[str, Any],
    resources: list[dict[str, Any]] | None = None,
    **more: Any,
) -> templates.Document:
    """A deployment with one template in it."""
    image = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "web",
        "location": "local",
        "identity": {"type": "None"},
        "properties": {"source": DEBIAN, "distribute": list(distribute) or [vhd()], **more},
    }
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    file = services.base_dir / "t.json"
    found = [*(resources or []), image]
    file.write_text(json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": found}))
    scope = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
    return templates.read(file, defaults=scope)


def look(services: Services, *distribute: dict[str, Any], **more: Any) -> Survey:
    document = read(services, *distribute, **more)
    return survey(document, document.templates[0], services)


def files(*roots: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file()}


def codes(found: Survey) -> list[str]:
    return [remark.code for remark in found.remarks]


def published(services: Services, *versions: str) -> None:
    """A gallery with these versions, made by an earlier build."""
    document = read(services, shared(), resources=beside())
    registry = services.registry
    registry.create_gallery(document.galleries[0])
    registry.create_definition(document.definitions[0])
    for version in versions:
        held = registry.reserve_version(DEFINITION, version)
        registry.complete_version(held.id, Delivery([], size=1))


def test_what_is_declared_will_be_created_and_nothing_is(services: Services) -> None:
    found = look(services, shared(), vhd(), resources=beside())
    assert [(one.action, one.kind, one.name) for one in found.changes] == [
        ("create", "gallery", GALLERY),
        ("create", "imageDefinition", DEFINITION),
        ("create", "imageVersion", f"{DEFINITION}/versions/0.0.1"),
        ("create", "vhd", str(services.output_dir / "out.vhd")),
    ]
    assert not services.home.root.exists()
    assert list(services.output_dir.iterdir()) == [services.base_dir]
    assert codes(found) == []


def test_the_facts(services: Services) -> None:
    found = look(services, vmProfile={"vmSize": "Standard_B1s", "osDiskSizeGB": 3}, buildTimeoutInMinutes=60)
    assert (found.template, found.file) == ("web", str(services.base_dir / "t.json"))
    assert found.workspace == "IT_goldsmith_web"
    assert (found.source.asked_for, found.source.exact_version, found.source.cached) == (
        "latest",
        "1.2.3",
        True,
    )
    assert (found.vm.size, found.vm.cpus, found.vm.disk_size) == ("Standard_B1s", 1, 3 * 1024**3)
    assert (found.timeouts.build, found.timeouts.boot) == (3600, 900)


def test_steps_and_reasons(services: Services) -> None:
    step = {"type": "Shell", "inline": ["true"], "x-goldsmith": {"timeout": "90s"}}
    found = look(services, customize=[step])
    assert [(one.stage, one.action) for one in found.steps] == [
        ("Source", "CACHED"),
        ("Boot", "RUN"),
        ("Customize", "RUN"),
        ("Generalize", "RUN"),
        ("Validate", "SKIP"),
        ("Distribute", "RUN"),
    ]
    assert all(one.reason for one in found.steps)
    assert found.steps[2].timeout == 90
    assert found.steps[4].reason == "the template has no validations"


def test_the_gate_stands_before_what_leaves(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VhdDistributor, "leaves", True, raising=False)
    found = look(services, vhd(), **{"x-goldsmith": {"waive": ["ssh-server"]}})
    stages = [one.stage for one in found.steps]
    step = found.steps[stages.index("Gate")]
    assert stages.index("Generalize") < stages.index("Gate") < stages.index("Validate")
    assert (step.action, step.name) == ("RUN", "VHD gate")
    assert step.reason == "out leaves this machine; waived: ssh-server"
    off = look(services, vhd(), **{"x-goldsmith": {"gate": "off"}})
    assert [(one.action, one.reason) for one in off.steps if one.stage == "Gate"] == [
        ("SKIP", "switched off, though out leaves")
    ]


def test_source_validation_only_distributes_nothing(services: Services) -> None:
    checks = {"sourceValidationOnly": True, "inVMValidations": [{"type": "Shell", "inline": ["true"]}]}
    found = look(services, vhd(), validate=checks)
    skipped = [one.stage for one in found.steps if one.action == "SKIP"]
    assert skipped == ["Boot", "Generalize", "Distribute"]
    assert found.changes == ()


def test_the_next_versions(services: Services) -> None:
    published(services, "1.0.3")
    found = look(services, shared("a"), shared("b"), shared("c", versioning={"scheme": "Source"}))
    names = [one.name.rsplit("/", 1)[1] for one in found.changes]
    assert names == ["1.0.4", "1.0.5", "1.2.3"]
    assert "version 1.0.4" in found.steps[-3].reason
    assert [one.version for one in services.registry.list_versions()] == ["1.0.3"]


def test_a_version_that_exists_is_a_mistake(services: Services) -> None:
    published(services, "1.0.3")
    with pytest.raises(TemplateError) as caught:
        look(services, shared(version="1.0.3"), shared("b", version="1.0.4"))
    assert [(one.code, one.location.pointer) for one in caught.value.diagnostics] == [
        ("Conflict", "/resources/0/properties/distribute/0")
    ]


def test_a_plan_goes_beside_a_build_of_the_same_template(services: Services) -> None:
    published(services)
    services.registry.reserve_version(DEFINITION, "1.0.0", run_id="run-1")
    document = read(services, shared("fixed", version="1.0.0"), shared("next"))
    with Workspace(document.templates[0], services, run_id="run-1"):
        before = files(services.home.staging)
        found = survey(document, document.templates[0], services)
        assert files(services.home.staging) == before
    assert sorted(codes(found)) == ["Conflict", "InUse"]
    assert any("run run-1" in one.message for one in found.remarks)
    assert [one.name.rsplit("/", 1)[1] for one in found.changes] == ["1.0.0", "1.0.1"]


def test_a_managed_image_is_replaced(services: Services) -> None:
    old = services.home.images / "goldsmith" / "web" / "old.vhd"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"disk")
    services.registry.put_image(
        ImageRecord(
            id=IMAGE,
            name="web",
            resource_group="goldsmith",
            location="local",
            os_type="Linux",
            generation="V2",
            path=old,
            size=4,
            size_on_disk=4,
            digest="d",
            source="s",
            template="earlier",
            run_id="r",
            tags={},
            created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        )
    )
    services.registry.close()
    before = files(services.home.root)
    found = look(services, managed())
    assert [(one.action, one.kind, one.name) for one in found.changes] == [
        ("replace", "managedImage", IMAGE),
        ("delete", "file", str(old)),
    ]
    assert "earlier" in found.changes[0].detail
    assert files(services.home.root) == before


def test_a_vhd_is_replaced(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    place = services.base_dir / "web.vhd"
    place.write_bytes(b"not one")
    with pytest.raises(TemplateError, match="1 problem"):
        look(services, vhd(uri="web.vhd"))
    monkeypatch.setattr("builder.distributors.vhd.read_footer", lambda _: None)
    assert look(services, vhd(uri="web.vhd")).changes == (Change("replace", "vhd", str(place)),)


def test_a_base_that_is_to_be_made(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "check_for_build", list)
    monkeypatch.setattr(doctor, "check_for_bootstrap", list)
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BUILD", 0)
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BASE", 0)
    found = look(services, customize=[{"type": "Shell", "inline": ["true"]}])
    assert (found.steps[0].action, found.source.asked_for, found.source.exact_version) == (
        "RUN",
        "latest",
        "12.0.0",
    )
    assert "bootstrapped from the packages of Debian bookworm" in found.steps[0].reason
    assert (found.changes[0].kind, found.changes[0].name) == ("base", "Debian:debian-12:12:12.0.0")
    assert [one.layer_id for one in found.steps[:2]] == ["", ""]
    assert not services.home.root.exists(), "an identity was drawn, or a folder made"


def test_what_this_machine_lacks_is_a_remark(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Result("qemu-img", "fail", "not installed", packages=("qemu-utils",))
    monkeypatch.setattr(doctor, "check_for_build", lambda: [missing])
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BUILD", 2**80)

    def no_firmware(_: str) -> None:
        raise EnvironmentProblem("No firmware.", hint="Install ovmf.")

    monkeypatch.setattr(module, "check_firmware", no_firmware)
    found = look(services)
    assert [one.message.splitlines()[0].split()[0] for one in found.remarks] == ["This", "Only", "No"]
    assert found.remarks[0].hint == "Install it: sudo apt-get install qemu-utils"
    with pytest.raises(TemplateError) as caught:  # and what is the template's own is still an error
        look(services, shared())
    assert [one.code for one in caught.value.diagnostics] == ["NotFound"]


def test_a_size_that_is_cut_is_said(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("builder.vm.sizes._available_memory_mib", lambda: 4096)
    found = look(services, vmProfile={"vmSize": "Standard_D64s_v5"})
    assert codes(found) == ["VmSize", "VmSize"]
    assert (found.vm.cpus, found.vm.memory_mib) == (2, 3072)


def test_no_command_of_a_secret_is_run(services: Services) -> None:
    mark = services.base_dir / "ran"
    command = [sys.executable, "-c", f"open({str(mark)!r}, 'w')"]
    step = {"type": "Shell", "inline": ["true"], "x-goldsmith": {"secrets": {"TOKEN": {"command": command}}}}
    found = look(services, customize=[step])
    assert not mark.exists()
    assert any("only run by a build" in one.message for one in found.remarks)
    unset = {**step, "x-goldsmith": {"secrets": {"TOKEN": {"env": "GOLDSMITH_NO_SUCH_VARIABLE"}}}}
    with pytest.raises(TemplateError):
        look(services, customize=[unset])


def test_every_problem_is_said_at_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> ResolvedSource:
        raise NotFoundError("no such image")

    monkeypatch.setattr(Source, "resolve", lambda _: lost())
    with pytest.raises(TemplateError) as caught:
        look(services, shared(), customize=[{"type": "Shell", "scriptUri": "missing.sh"}])
    assert {one.code for one in caught.value.diagnostics} == {"NotFound", "DownloadFailed"}
    assert len(caught.value.diagnostics) == 3


def test_a_source_that_this_machine_cannot_look_at(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> ResolvedSource:
        raise EnvironmentProblem("qemu-img is not installed.")

    monkeypatch.setattr(Source, "resolve", lambda _: broken())
    with pytest.raises(EnvironmentProblem, match="qemu-img"):
        look(services)


def test_a_real_build_still_writes(services: Services) -> None:
    """The switch is the survey's alone: what is submitted is declared and reserved as ever."""
    document = read(services, shared(version="1.0.0"), resources=beside())
    template: ImageTemplate = document.templates[0]
    made = module.submit(document, template, replace(services, run_id="r"))
    assert [one.state for one in services.registry.list_versions()] == ["Creating"]
    made.release()
    assert [one.id for one in services.registry.list_definitions()] == [DEFINITION]


def test_what_a_version_would_be_billed_as(services: Services) -> None:
    """Nothing is said as long as nothing is known of its size."""
    published(services)
    target = shared(targetRegions=[{"name": "local", "replicaCount": 2}, {"name": "eastus"}])
    assert look(services, target, vhd()).estimates == ()
    folder = services.home.bases / "key"
    folder.mkdir(parents=True)
    (folder / "disk.raw").write_bytes(b"x" * 200_000)
    facts = ("id", "Debian", "disk.raw", "raw", 10, 200_000, 0.0)
    (folder / "meta.json").write_text(json.dumps(asdict(BaseMeta(*facts))))
    (one,) = look(services, target, vhd()).estimates
    assert one.used_by == "its source's disk on this machine" and one.used >= 200_000
    assert (one.total.snapshots, one.total.egress, one.money) == (3, one.used, None)

    held = services.registry.reserve_version(DEFINITION, "1.0.0")
    copy = ReplicaRecord("local", 1, "Standard_LRS", services.home.regions / "os.vhd", 5 * GIB)
    services.registry.complete_version(held.id, Delivery([copy], size=1))
    services.registry.reserve_version(DEFINITION, "1.1.0")
    (services.home.root / "prices.toml").write_text('currency = "EUR"\n[storage]\nStandard_LRS = 1\n')
    (one,) = look(services, target, vhd()).estimates
    assert (one.used, one.used_by) == (5 * GIB, "version 1.0.0 of this definition")
    assert one.money is not None
    assert (one.money.storage, one.money.missing) == (15.0, ("from local to eastus",))


def test_wrong_prices_keep_nobody_from_planning(services: Services) -> None:
    published(services)
    services.home.ensure()
    (services.home.root / "prices.toml").write_text("[storage")
    found = look(services, shared())
    assert codes(found) == ["Usage"] and "prices.toml" in found.remarks[0].message
