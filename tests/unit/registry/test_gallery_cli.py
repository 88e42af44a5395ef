"""`build gallery` as far as rules go: properties, updates, deployments, explanations, deletion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from builder.cli import gallery
from builder.errors import (
    ConflictError,
    ExitCode,
    GoldsmithError,
    NotFoundError,
    PreflightError,
    UsageError,
)
from builder.registry.publishing import BlockedBeforeEndOfLifeError
from builder.registry.rules import BadNameError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GALLERY, WEB, Publish
from registry.test_cli import call, call_json
from templates.diagnostics import TemplateError

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
COMPUTE = "Microsoft.Compute/galleries"
PLAN = ("--plan-name", "gold", "--plan-publisher", "acme", "--plan-product", "web")


@pytest.fixture(autouse=True)
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))


def new(*words: str) -> list[str]:
    return ["definition", "create", "team/web", "-p", "me", "-f", "web", "-s", "1", *words]


def test_a_gallery_is_updated() -> None:
    call(gallery.app, "create", "team", "--tag", "a=1", "--description", "old")
    changed = call_json(gallery.app, "update", "team", "--description", "new")
    assert (changed["description"], changed["tags"]) == ("new", {"a": "1"})
    assert call_json(gallery.app, "update", "team", "--tag", "")["tags"] == {}
    with pytest.raises(UsageError, match="What is to change"):
        call(gallery.app, "update", "team")


def test_a_definition_with_everything_is_made_and_updated() -> None:
    call(gallery.app, "create", "team")
    words = [
        "--recommended-vcpus",
        "2-8",
        "--recommended-memory",
        "4-",
        "--disallow-disk-type",
        "Standard_LRS",
    ]
    words += ["--feature", "IsHibernateSupported=True", "--end-of-life", "2999-01-01", "--eula", "be kind"]
    words += ["--privacy-statement-uri", "https://a.test/p", "--release-note-uri", "https://a.test/r", *PLAN]
    made = call_json(gallery.app, *new(*words, "--tag", "a=b", "--description", "d"))
    assert made["recommended"] == {"vCPUs": {"min": 2, "max": 8}, "memory": {"min": 4}}
    assert made["disallowed"] == {"diskTypes": ["Standard_LRS"]}
    assert made["features"] == [{"name": "IsHibernateSupported", "value": "True"}]
    assert made["plan"] == {"name": "gold", "publisher": "acme", "product": "web"}
    shown = call(gallery.app, "definition", "show", "team/web")
    for line in ("2 to 8 vCPUs, at least 4 GB", "acme:web:gold", "IsHibernateSupported=True", "2999-01-01"):
        assert line in shown
    changed = call_json(
        gallery.app, "definition", "update", "team/web", "--recommended-vcpus", "", "--eula", "", "--tag", ""
    )
    assert changed["recommended"] == {"memory": {"min": 4}}
    assert (changed["eula"], changed["tags"], changed["endOfLife"]) == ("", {}, "2999-01-01")
    assert changed["plan"] == made["plan"]
    with pytest.raises(ConflictError, match=r"galleryImage\.properties\.features' is not allowed"):
        call(gallery.app, "definition", "update", "team/web", "--feature", "X=1")
    words = ["definition", "update", "team/web", "--feature", "X=1", "--allow-update-image"]
    assert call_json(gallery.app, *words)["features"] == [{"name": "X", "value": "1"}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recommended-vcpus", "many"], "expected a range"),
        (["--recommended-memory", "0-4"], "recommended.memory.min"),
        (["--disallow-disk-type", "Floppy"], "disallowed.diskTypes.0"),
        (["--feature", "SecurityType"], "expected NAME=VALUE"),
        (["--plan-name", "gold"], "--plan-publisher and --plan-product together"),
    ],
)
def test_wrong_options_are_said(words: list[str], message: str) -> None:
    call(gallery.app, "create", "team")
    with pytest.raises(GoldsmithError, match=message):
        call(gallery.app, *new(*words))


def test_a_version_is_updated(publish: Publish) -> None:
    publish("1.0.0", ["West US", "East US"])
    publish("2.0.0", ["West US", "East US"])
    name = "Team.gallery/web/2.0.0"
    words = ["--exclude-in", "eastus", "--end-of-life", "2999-01-01", "--block-deletion-before-end-of-life"]
    call(gallery.app, "version", "update", name, *words, "--tag", "a=b")
    assert call_json(gallery.app, "latest", "Team.gallery/web", "-r", "eastus")["version"] == "1.0.0"
    shown = call(gallery.app, "version", "show", name)
    assert "excluded in East US" in shown
    assert "2999-01-01, not to be deleted before" in shown
    with pytest.raises(BlockedBeforeEndOfLifeError):
        call(gallery.app, "version", "delete", name, "--yes")
    with pytest.raises(BlockedBeforeEndOfLifeError):
        call(gallery.app, "delete", "Team.gallery", "--force", "--yes")
    call(gallery.app, "version", "update", name, "--exclude-from-latest", "--include-in", "West US")
    assert call_json(gallery.app, "latest", "Team.gallery/web", "-r", "westus")["version"] == "2.0.0"
    assert "not excluded in West US" in call(gallery.app, "version", "show", name)
    with pytest.raises(UsageError, match="What is to change"):
        call(gallery.app, "version", "update", name)


def test_the_list_of_versions_has_pages(publish: Publish) -> None:
    for name in ("1.0.0", "1.0.1", "1.0.2"):
        publish(name)
    page = call_json(gallery.app, "version", "list", "Team.gallery/web", "--limit", "2")
    assert [one["version"] for one in page] == ["1.0.2", "1.0.1"]
    page = call_json(gallery.app, "version", "list", "Team.gallery/web", "--after", "1.0.1")
    assert [one["version"] for one in page] == ["1.0.0"]
    assert "1.0.1" not in call(gallery.app, "version", "list", "--after", "Team.gallery/web/1.0.1")


def test_latest_is_explained(publish: Publish) -> None:
    publish("1.0.0", ["West US", "East US"])
    publish("2.0.0", ["West US"], exclude=True)
    told = call_json(gallery.app, "latest", WEB, "--explain", "--region", "East US")
    assert (told["latest"], told["region"]) == ("1.0.0", "East US")
    assert [one["verdict"] for one in told["candidates"]] == ["notInRegion", "latest"]
    assert "no copy in East US" in call(gallery.app, "latest", WEB, "--explain", "--region", "East US")
    none = CliRunner().invoke(gallery.app, ["latest", WEB, "--explain", "--region", "mars"])
    assert (none.exit_code, "no copy in mars" in none.output) == (ExitCode.BAD_TEMPLATE, True)


def test_all_of_a_definition_or_gallery_is_deleted_by_force(
    publish: Publish, home: Home, web: Registry
) -> None:
    first, second = publish("1.0.0", ["West US", "East US"]), publish("1.0.1")
    with pytest.raises(UsageError, match="nobody to ask"):
        call(gallery.app, "definition", "delete", "Team.gallery/web", "--force")
    web.set_channel(WEB, "prod", "1.0.0")
    gone = call(gallery.app, "definition", "delete", "Team.gallery/web", "--force", "--yes")
    assert gone.splitlines() == [f"Deleted {one}" for one in (second.id, first.id, WEB)]
    assert not [file for file in home.regions.rglob("*") if file.is_file()]
    assert "Deleted" in call(gallery.app, "delete", "Team.gallery", "--force", "--yes")
    assert web.list_galleries() == []


def test_what_a_build_makes_keeps_the_rest(publish: Publish, web: Registry) -> None:
    done = publish("2.0.0")
    held = web.reserve_version(WEB, "1.0.0")
    with pytest.raises(ConflictError, match="running build"):
        call(gallery.app, "delete", GALLERY, "--force", "--yes")
    assert [one.id for one in web.list_versions(WEB)] == [done.id, held.id]


def deployment(tmp_path: Path, **properties: Any) -> Path:
    web = {
        "osType": "Linux",
        "osState": "Generalized",
        "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
        **properties,
    }
    head = {"apiVersion": "2024-03-03", "location": "westus"}
    resources = [
        {"type": f"{COMPUTE}/images", "name": "team/web", **head, "properties": web},
        {"type": COMPUTE, "name": "team", **head, "properties": {"description": "d"}},
    ]
    file = tmp_path / "galleries.json"
    file.write_text(json.dumps({"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": resources}))
    return file


def outcomes(*words: str) -> list[tuple[str, str]]:
    found = call_json(gallery.app, "deploy", *words)["resources"]
    return [(one["outcome"], one["kind"]) for one in found]


def test_a_deployment_is_idempotent(tmp_path: Path, registry: Registry) -> None:
    file = str(deployment(tmp_path))
    made = [("created", "gallery"), ("created", "imageDefinition")]
    assert outcomes(file, "--dry-run") == made
    assert registry.list_galleries() == []
    assert outcomes(file) == made
    assert outcomes(file) == [("unchanged", "gallery"), ("unchanged", "imageDefinition")]
    file = str(deployment(tmp_path, endOfLifeDate="2999-01-01", recommended={"vCPUs": {"min": 2}}))
    assert "would be updated  /subscriptions" in call(gallery.app, "deploy", file, "--dry-run")
    assert outcomes(file) == [("unchanged", "gallery"), ("updated", "imageDefinition")]
    assert outcomes(file) == [("unchanged", "gallery"), ("unchanged", "imageDefinition")]


def test_a_deployment_with_a_mistake_changes_nothing(tmp_path: Path, registry: Registry) -> None:
    file = str(deployment(tmp_path, endOfLifeDate="2001-01-01"))
    with pytest.raises(TemplateError) as caught:
        call(gallery.app, "deploy", file)
    assert ["must be a future date" in one.message for one in caught.value.diagnostics] == [True]
    assert caught.value.diagnostics[0].location.pointer == "/resources/0"
    assert registry.list_galleries() == []


def test_a_file_without_galleries_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    file.write_text(json.dumps({"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": []}))
    with pytest.raises(UsageError, match="declares no gallery"):
        call(gallery.app, "deploy", str(file))


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "-1", "", "1e3"])
def test_a_number_of_replicas_that_is_none(publish: Publish, number: str) -> None:
    publish("1.0.0")
    with pytest.raises(UsageError, match="REGION=N"):
        call(gallery.app, "version", "regions", "Team.gallery/web/1.0.0", "--set", f"westus={number}")


def test_a_count_beyond_the_limit_is_refused_before_there_are_as_many_rows(publish: Publish) -> None:
    publish("1.0.0")
    for option in ("--set", "--add"):
        region = "westus" if option == "--set" else "eastus"
        with pytest.raises(PreflightError, match="may have 100 replicas; 999999999 are asked for"):
            call(gallery.app, "version", "regions", "Team.gallery/web/1.0.0", option, f"{region}=999999999")


def test_regions_that_are_only_noted_are_json(publish: Publish) -> None:
    publish("1.0.0")
    noted = call_json(
        gallery.app, "version", "regions", "Team.gallery/web/1.0.0", "--add", "eastus", "--no-wait"
    )
    assert [(one["region"], one["state"]) for one in noted["regions"]] == [
        ("West US", "Completed"),
        ("eastus", "Replicating"),
    ]
    (status,) = call_json(gallery.app, "status", "--region", "eastus")
    assert [one["region"] for one in status["regions"]] == ["eastus"]
    with pytest.raises(UsageError, match="--storage: of which region"):
        call(gallery.app, "version", "regions", "Team.gallery/web/1.0.0", "--storage", "Premium_LRS")


@pytest.mark.parametrize("verb", ["verify", "replicate", "status"])
def test_a_region_that_none_of_them_is_in(publish: Publish, verb: str) -> None:
    publish("1.0.0")
    with pytest.raises(NotFoundError, match="None of these versions has replicas in 'mars'"):
        call(gallery.app, verb, "Team.gallery/web/1.0.0", "--region", "mars")


def test_words_of_the_command_line_that_are_too_much() -> None:
    call(gallery.app, "create", "team")
    with pytest.raises(UsageError, match="expected a range"):
        call(gallery.app, *new("--recommended-memory", "9" * 5000))
    for date in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        with pytest.raises(UsageError, match="no date in UTC"):
            call(gallery.app, "version", "create", "team/web", "--from", "x", "--end-of-life", date)
    for name in ("a/b", "", ".."):
        with pytest.raises(BadNameError, match="Gallery name is invalid"):
            call(gallery.app, "create", name)
