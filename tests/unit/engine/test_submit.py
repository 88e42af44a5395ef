"""Submit: everything that is wrong is said at once, at its place, and a failure leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import templates
from builder import submit as module
from builder.disk.data_disk import DataDiskSize
from builder.distributors.base import ExpectedImage
from builder.distributors.vhd import VhdDistributor
from builder.errors import (
    BuildTimeoutError,
    ConflictError,
    EnvironmentProblem,
    GoldsmithError,
    NotFoundError,
    PreflightError,
)
from builder.services import Services
from builder.sources.base import ResolvedSource
from builder.submit import GIB, Submission, submit
from engine.conftest import SUBSCRIPTION, Seen
from templates.diagnostics import TemplateError

COMPUTE = f"{SUBSCRIPTION}/resourceGroups/goldsmith/providers/Microsoft.Compute"
GALLERY = f"{COMPUTE}/galleries/app"
DEFINITION = f"{GALLERY}/images/web"


class Source:
    """What `make_source` gives: found, or the error it is told to raise."""

    error: GoldsmithError | None = None
    resolved = ResolvedSource("id", "Debian 12", "Linux", "V2", "1.2.3", size=2 * 1024**3, cached=True)

    def resolve(self) -> ResolvedSource:
        if self.error:
            raise self.error
        return self.resolved


class Target:
    """A distributor that reserves something in `held`."""

    errors: dict[str, GoldsmithError]
    held: list[str]

    def __init__(self, model: Any, _services: Services) -> None:
        self.name = model.run_output_name
        self.uri = getattr(model, "uri", "")

    def target(self) -> str:
        return self.uri

    def preflight(self, expected: ExpectedImage) -> str:
        assert expected.generation == "V2"
        self.held.append(self.name)
        if self.name in self.errors:
            raise self.errors[self.name]
        return f"makes {self.name}"

    def release(self) -> None:
        if self.name in self.held:
            self.held.remove(self.name)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, services: Services) -> Iterator[None]:
    """A machine that has everything; doubles where the network or a program would be asked."""
    Target.errors, Target.held, Source.error = {}, [], None
    for check in ("check_tools", "check_source_tools", "check_firmware", "check_space"):
        monkeypatch.setattr(module, check, lambda *_: None)
    monkeypatch.setattr(module, "make_source", lambda *_: Source())
    monkeypatch.setattr(module, "make_distributor", Target)
    yield
    if "registry" in vars(services):
        services.registry.close()


def declared(publisher: str = "me", location: str = "local") -> list[dict[str, Any]]:
    return [
        {
            "type": "Microsoft.Compute/galleries",
            "apiVersion": "2022-03-03",
            "name": "app",
            "location": location,
            "properties": {},
        },
        {
            "type": "Microsoft.Compute/galleries/images",
            "apiVersion": "2022-03-03",
            "name": "app/web",
            "location": "local",
            "properties": {
                "osType": "Linux",
                "osState": "Generalized",
                "hyperVGeneration": "V2",
                "identifier": {"publisher": publisher, "offer": "o", "sku": "s"},
            },
        },
    ]


def run(
    services: Services,
    *,
    beside: list[dict[str, Any]] | None = None,
    customize: list[dict[str, Any]] | None = None,
    distribute: list[dict[str, Any]] | None = None,
    **properties: Any,
) -> Submission:
    """Submit a deployment with one template in it."""
    template = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "web",
        "location": "local",
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12-gen2",
                "version": "latest",
            },
            "customize": customize or [],
            "distribute": distribute or [vhd("out")],
            **properties,
        },
    }
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    file = services.base_dir / "t.json"
    resources = [*(beside or []), template]
    file.write_text(json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": resources}))
    scope = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
    document = templates.read(file, defaults=scope)
    return submit(document, document.templates[0], services)


def vhd(name: str, uri: str = "") -> dict[str, Any]:
    return {"type": "VHD", "runOutputName": name, "uri": uri}


def shared(name: str = "gallery") -> dict[str, Any]:
    return {
        "type": "SharedImage",
        "runOutputName": name,
        "galleryImageId": DEFINITION,
        "replicationRegions": ["local"],
    }


def problems(error: pytest.ExceptionInfo[TemplateError]) -> list[tuple[str, str]]:
    return [(item.location.pointer, item.code) for item in error.value.diagnostics]


def nothing_declared(services: Services) -> bool:
    return not services.registry.list_galleries() and not services.registry.list_definitions()


def test_what_is_declared_is_there_afterwards(services: Services, seen: Seen) -> None:
    made = run(services, beside=declared(), distribute=[shared(), vhd("out")])
    assert [item.id for item in services.registry.list_definitions()] == [DEFINITION]
    assert [step.reason for step in made.plan.of("Distribute")] == ["makes gallery", "makes out"]
    assert Target.held == ["gallery", "out"]
    made.release()
    assert Target.held == []
    assert [event.stage for event in seen.of("stage.started")] == ["Resolve"]
    assert [(event.stage, event.outcome) for event in seen.of("stage.finished")] == [("Resolve", "succeeded")]


def test_a_bad_template_leaves_nothing(services: Services, seen: Seen) -> None:
    Target.errors = {"out": ConflictError("taken")}
    with pytest.raises(TemplateError) as caught:
        run(services, beside=declared(), distribute=[shared(), vhd("out")])
    assert problems(caught) == [("/resources/2/properties/distribute/1", "Conflict")]
    assert Target.held == []
    assert nothing_declared(services)
    assert seen.of("stage.finished")[0].outcome == "failed"


@pytest.mark.parametrize("error", [BuildTimeoutError("late"), RuntimeError("bug"), KeyboardInterrupt()])
def test_whatever_ends_it_gives_reservations_back(services: Services, error: Any) -> None:
    Target.errors = {"second": error}
    with pytest.raises(type(error)):
        run(services, beside=declared(), distribute=[vhd("first"), vhd("second"), vhd("third")])
    assert Target.held == []
    assert nothing_declared(services)


def test_a_plan_that_fails_gives_reservations_back(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(module, "make_plan", fail)
    with pytest.raises(RuntimeError):
        run(services)
    assert Target.held == []


def test_what_was_there_before_stays(services: Services) -> None:
    run(services, beside=declared())
    Target.errors = {"out": ConflictError("taken")}
    with pytest.raises(TemplateError):
        run(services, beside=declared())
    assert [item.id for item in services.registry.list_definitions()] == [DEFINITION]


def test_a_declaration_that_conflicts_is_said_at_its_place_beside_the_others(services: Services) -> None:
    run(services, beside=declared(publisher="me"))
    with pytest.raises(TemplateError) as caught:
        run(
            services,
            beside=declared(publisher="you"),
            customize=[{"type": "Shell", "scriptUri": "missing.sh"}],
            vmProfile={"osDiskSizeGB": 1},
        )
    assert problems(caught) == [
        ("/resources/2/properties/vmProfile/osDiskSizeGB", "Preflight"),
        ("/resources/2/properties/customize/0/scriptUri", "DownloadFailed"),
        ("/resources/1", "Conflict"),
    ]
    with pytest.raises(TemplateError) as caught:
        run(services, beside=declared(location="elsewhere"))
    assert problems(caught) == [("/resources/0", "Conflict")]


def test_targets_are_looked_at_without_a_source(services: Services) -> None:
    Source.error = NotFoundError("no such image")
    with pytest.raises(TemplateError) as caught:
        run(services, distribute=[vhd("out"), shared()])
    assert problems(caught) == [
        ("/resources/0/properties/source", "NotFound"),
        ("/resources/0/properties/distribute/1", "NotFound"),
    ]
    assert Target.held == []


def test_a_step_for_the_other_system_is_refused_before_a_boot(services: Services) -> None:
    steps = [{"type": "WindowsRestart"}, {"type": "Shell", "inline": ["true"]}, {"type": "x-LinuxRestart"}]
    with pytest.raises(TemplateError) as caught:
        run(services, customize=steps)
    assert problems(caught) == [("/resources/0/properties/customize/0/type", "BadStep")]
    assert caught.value.diagnostics[0].hint == "Use x-LinuxRestart on a Linux image."


def test_an_image_nobody_can_enter_is_not_validated(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "resolved", replace(Source.resolved, seeded=False))
    checks = {"inVMValidations": [{"type": "Shell", "inline": ["true"]}]}
    with pytest.raises(TemplateError) as caught:
        run(services, validate=checks)
    assert problems(caught) == [("/resources/0/properties/validate", "Preflight")]
    assert "cloud-init" in caught.value.diagnostics[0].message
    run(services, validate={**checks, "sourceValidationOnly": True})  # a source has its own way in
    run(services)


def test_two_targets_need_two_places(services: Services) -> None:
    with pytest.raises(TemplateError) as caught:
        run(services, distribute=[vhd("a", "x.vhd"), vhd("b", "y.vhd"), vhd("c", "x.vhd")])
    assert problems(caught) == [("/resources/0/properties/distribute/2", "Preflight")]
    assert "'a' and 'c' are one and the same: x.vhd" in caught.value.diagnostics[0].message


def test_a_problem_of_the_machine_alone_is_that(services: Services) -> None:
    Target.errors = {"a": EnvironmentProblem("no room"), "b": EnvironmentProblem("read-only")}
    with pytest.raises(EnvironmentProblem, match="no room") as caught:
        run(services, distribute=[vhd("a"), vhd("b")])
    assert caught.value.details == ("read-only",)
    Target.errors["b"] = PreflightError("bad")
    with pytest.raises(TemplateError) as both:
        run(services, distribute=[vhd("a"), vhd("b")])
    assert [code for _, code in problems(both)] == ["Environment", "Preflight"]
    assert Target.held == []


def test_the_source_is_asked_for_its_tools(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(module, "check_source_tools", asked.append)
    monkeypatch.setattr(module, "check_space", lambda _services, source=None: asked.append(source))
    run(replace(services, run_id="r1"))
    assert asked == [None, Source.resolved, Source.resolved]


def test_the_template_says_which_devices_there_are(services: Services) -> None:
    assert run(services).source.devices == "virtio"
    assert run(services, **{"x-goldsmith": {"devices": "compatible"}}).source.devices == "compatible"


def test_an_account_of_the_image_is_fetched_and_only_windows_has_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDOWS_PASSWORD", "opens-the-door")
    asked = {"x-goldsmith": {"access": {"user": "admin", "password": {"env": "WINDOWS_PASSWORD"}}}}
    place = "/resources/0/properties/x-goldsmith/access"
    with pytest.raises(TemplateError) as caught:
        run(services, **asked)
    assert problems(caught) == [(place, "Preflight")]
    monkeypatch.setattr(Source, "resolved", replace(Source.resolved, os_type="Windows", devices="compatible"))
    access = run(services, **asked).access
    assert access is not None
    assert (access.user, access.declared, access.password) == ("admin", True, "opens-the-door")
    monkeypatch.delenv("WINDOWS_PASSWORD")
    with pytest.raises(TemplateError, match="1 problem") as caught:
        run(services, **asked)
    assert "WINDOWS_PASSWORD is not set" in caught.value.diagnostics[0].message
    assert problems(caught) == [(place, "Secret")]


def test_data_disks_are_expected_after_the_sources_and_leave_no_layers(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = replace(Source.resolved, data_disks=(DataDiskSize(1, GIB),))
    monkeypatch.setattr(Source, "resolved", has)
    found = run(services, additionalDataDisks=[{"sizeGB": 2}])
    assert found.data_disks == (DataDiskSize(1, GIB), DataDiskSize(2, 2 * GIB))
    assert found.routing.route.why_not == "the image has data disks"
    with pytest.raises(TemplateError) as caught:
        run(services, additionalDataDisks=[{"sizeGB": 1}] * 16)
    assert problems(caught) == [("/resources/0/properties/additionalDataDisks", "Preflight")]


def test_a_file_of_a_data_disk_cannot_be_another_target(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "make_distributor", VhdDistributor)
    targets = [vhd("out"), vhd("out-lun0")]
    assert run(services, distribute=targets).data_disks == ()
    with pytest.raises(TemplateError) as caught:
        run(services, distribute=targets, additionalDataDisks=[{"sizeGB": 1}])
    assert problems(caught) == [("/resources/0/properties/distribute/1", "Preflight")]
    assert "one and the same" in caught.value.diagnostics[0].message


def test_a_windows_build_has_its_steps_planned_without_layers(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "resolved", replace(Source.resolved, os_type="Windows", devices="compatible"))
    steps = [{"type": "WindowsUpdate", "name": "Updates", "filters": ["include:$true"]}]
    found = run(services, customize=steps)
    (planned,) = (step for step in found.plan.steps if step.stage == "Customize")
    assert (planned.name, planned.type, planned.action) == ("Updates", "WindowsUpdate", "RUN")
    assert found.routing.route.why_not == "Windows guests have no layers"


def test_what_it_will_be_made_of_is_known_with_the_submission(services: Services) -> None:
    found = run(services, customize=[{"type": "Shell", "inline": ["true"]}])
    lineage = found.lineage
    assert lineage["source"] == {"description": "Debian 12", "digest": "id"}
    assert (lineage["template"], [one["name"] for one in lineage["inputs"]]) == ("web", ["inline"])
    assert lineage["layers"] == [link.id for link in found.routing.route.links] != []
