"""The plan: what runs, what is skipped, and the identity of layers."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.layers.cache import Cache
from builder.layers.identity import layer_id
from builder.layers.route import Known, LinkSpec, Route, Wishes, find_route, make_links
from builder.plan import Plan, make_plan
from builder.redact import MASK, Redactor
from builder.routing import Routing
from builder.runs import RunDirectory
from builder.settings import Home, Settings
from builder.sources.base import ResolvedSource
from templates.model import ImageTemplate

SOURCE = ResolvedSource("sha256:abc", "Debian 12", "Linux", "V1", "12.0.0")


def template(**properties: object) -> ImageTemplate:
    return ImageTemplate.model_validate(
        {
            "type": "Microsoft.VirtualMachineImages/imageTemplates",
            "apiVersion": "2025-10-01",
            "name": "t",
            "properties": {
                "source": {"type": "PlatformImage", "publisher": "a", "offer": "b", "sku": "c"},
                "customize": [
                    {"type": "Shell", "inline": ["x"]},
                    {"type": "Shell", "name": "Two", "inline": ["y"]},
                ],
                "distribute": [{"type": "VHD", "runOutputName": "out"}],
                **properties,
            },
        }
    )


def planned(*scripts: str, target: str = "out.vhd", **properties: object) -> Plan:
    """The plan of a template with a Shell step for each script, of which nothing is cached."""
    steps = [LinkSpec("Shell", f"Shell {n}", 1, {"script": text}) for n, text in enumerate(scripts, 1)]
    links = make_links(SOURCE.identity, {}, 0, steps)
    route = find_route(links, "image", Known(), "", Wishes())
    if "validate" in properties:
        route = Route()
    cache = Cache.of(Home(Path("/nonexistent")), Settings())
    return make_plan(template(**properties), SOURCE, Routing(route, cache, "", ""), [target])


def test_steps_come_in_aibs_order_with_names() -> None:
    plan = planned("x", "y")
    assert [(s.stage, s.name, s.action) for s in plan.steps] == [
        ("Source", "Debian 12", "RUN"),
        ("Boot", "first boot", "RUN"),
        ("Customize", "Shell 1", "RUN"),
        ("Customize", "Two", "RUN"),
        ("Generalize", "Deprovision and prove", "RUN"),
        ("Distribute", "out", "RUN"),
    ]
    assert plan.of("Distribute")[0].reason == "out.vhd"


def test_source_validation_only_skips_the_build() -> None:
    checks = {"sourceValidationOnly": True, "inVMValidations": [{"type": "Shell", "inline": ["true"]}]}
    plan = planned("x", "y", validate=checks)
    actions = {s.stage: s.action for s in plan.steps}
    assert actions == {
        "Source": "RUN",
        "Boot": "SKIP",
        "Customize": "SKIP",
        "Generalize": "SKIP",
        "Validate": "RUN",
        "Distribute": "SKIP",
    }


def test_an_edited_step_changes_its_layer_and_all_after_it() -> None:
    before = [s.layer_id for s in planned("x", "y").of("Customize")]
    last = [s.layer_id for s in planned("x", "z").of("Customize")]
    first = [s.layer_id for s in planned("q", "y").of("Customize")]
    assert before[0] == last[0]
    assert before[1] != last[1]
    assert before[0] != first[0]
    assert before[1] != first[1]


@given(st.text(), st.text(), st.text())
def test_layer_ids_do_not_run_parts_together(parent: str, kind: str, more: str) -> None:
    if more:
        assert layer_id(parent + more, kind, 1, {}) != layer_id(parent, more + kind, 1, {})
    assert layer_id(parent, kind, 1, {"a": more}) != layer_id(parent, kind, 2, {"a": more})


def test_the_plan_is_in_the_record_without_secrets(home: Home) -> None:
    plan = planned("x", "y", target="hunter2-canary.vhd")
    redactor = Redactor()
    redactor.add("hunter2-canary")
    run = RunDirectory.create(home)
    run.set_plan(plan, redactor)
    written = run.read().plan
    assert [step["stage"] for step in written] == [step.stage for step in plan.steps]
    assert written[1]["layerId"] == plan.steps[1].layer_id
    assert written[-1]["reason"] == f"{MASK}.vhd"
