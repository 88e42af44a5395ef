"""The documentation against the code: what it names exists, and what exists is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import templates
from builder import events
from builder.cli.lazy import load_verb
from builder.cli.verbs import VERBS
from builder.errors import ExitCode
from builder.settings import Home, Settings
from builder.sources.catalogue import load_catalogue
from builder.sources.catalogue.document import with_table
from builder.sources.catalogue.schema import catalogue_schema
from templates.model.base import StepExtensions

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CATALOGUE = ROOT / "docs/catalogue.md"
REFERENCE = (ROOT / "docs/reference.md").read_text()
SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
VERB_TREE = {verb.name: load_verb(verb) for verb in VERBS}


def section(title: str) -> str:
    """The text of the reference under a heading, up to the next of its kind."""
    return REFERENCE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without heads and rules."""
    lines = [line.strip().strip("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("-| ")]
    return [row for n, row in enumerate(cells) if n not in rules and n + 1 not in rules]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def commands() -> Iterator[tuple[str, str]]:
    """Every `build ...` of the pages: in code spans, and in indented or fenced code."""
    for page in PAGES:
        text = page.read_text()
        spans = re.findall(r"`(build [^`\n]+)`", text)
        lines = re.findall(r"^    (?:\.venv/bin/)?(build [^#\n]+)", text, re.MULTILINE)
        for line in (*spans, *lines):
            yield page.name, line.strip()


def options(command: Any) -> set[str]:
    found = {"--help", "-h"}
    for parameter in command.params:
        found.update(one for one in (*parameter.opts, *parameter.secondary_opts) if one.startswith("-"))
    return found


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_a_command_in_the_docs_exists(page: str, line: str) -> None:
    words = line.split()[1:]
    command: Any = VERB_TREE.get(words[0], VERB_TREE["run"])
    for word in words[1:]:
        below = getattr(command, "commands", {})
        if word.rstrip(",") in below and not word.endswith(","):
            command = below[word]
    if "," in line and hasattr(command, "commands"):  # a list of verbs in a table
        listed = " ".join(words[1:]).split(", ")
        assert set(listed) <= set(command.commands), f"{page}: {line}"
    used = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert used <= options(command) | {"--version", "--install-completion"}, f"{page}: {line}"


def test_every_verb_is_in_the_reference() -> None:
    text = " ".join(cell for row in rows(section("The command")) for cell in row[:1])
    for name, command in VERB_TREE.items():
        assert f"build {name}" in text
        for below in getattr(command, "commands", {}):
            if not hasattr(command.commands[below], "commands"):
                assert re.search(rf"`build {name} [^`]*\b{below}\b", text), f"build {name} {below}"


def test_the_options_of_run_are_in_the_reference() -> None:
    table = section("The command").split("Options of `build run`", 1)[1]
    listed = {name.split()[0] for row in rows(table) for name in names(row[0])}
    assert listed == options(VERB_TREE["run"]) - {"--help", "-h"}


def test_settings() -> None:
    listed = {names(row[0])[0]: row[1].strip("`") for row in rows(section("Settings"))}
    assert set(listed) == set(Settings.model_fields)
    shown = {"none": None, "true": True, "false": False, "all zeros": Settings().subscription_id}
    for name, value in listed.items():
        actual = getattr(Settings(), name)
        assert shown.get(value, value) in (actual, actual or None) or float(value) == actual, name


def test_exit_codes() -> None:
    assert [int(row[0]) for row in rows(section("Exit codes"))] == sorted(int(code) for code in ExitCode)


def test_events() -> None:
    kinds = {kind.kind: kind for kind in events.Event.__subclasses__()}
    listed: dict[str, set[str]] = {}
    for row in rows(section("Events")):
        for kind in names(row[0]):
            listed[kind] = set(names(row[1]))
    assert set(listed) == set(kinds)
    for name, kind in kinds.items():
        named = {
            re.sub("_(.)", lambda m: m[1].upper(), field) for field in [one.name for one in fields(kind)]
        }
        assert named <= listed[name], name


def test_step_extensions() -> None:
    table = section("Our extensions").split("In `properties`", 1)[0]
    listed = {names(row[0])[0] for row in rows(table)}
    assert listed == set(StepExtensions.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
            assert anchor in anchors, target


def json_blocks(page: Path) -> list[Any]:
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)]


def test_the_example_of_the_readme_is_a_template(tmp_path: Path) -> None:
    (example,) = json_blocks(ROOT / "README.md")
    file = tmp_path / "hello.json"
    file.write_text(json.dumps(example))
    document = templates.read(file, defaults=SCOPE)
    assert [template.name for template in document.templates] == ["hello"]
    assert not document.diagnostics


def test_the_step_of_the_how_to_is_a_step(tmp_path: Path) -> None:
    (template,) = json_blocks(ROOT / "README.md")
    template["properties"]["customize"] = json_blocks(ROOT / "docs/how-to.md")
    file = tmp_path / "hello.json"
    file.write_text(json.dumps(template))
    assert templates.read(file, defaults=SCOPE).templates[0].properties.customize[0].extensions.secrets


def test_the_example_of_the_catalogue_page_is_one(tmp_path: Path) -> None:
    (example,) = json_blocks(CATALOGUE)
    (tmp_path / "catalogue.json").write_text(json.dumps(example))
    catalogue = load_catalogue(Home(tmp_path))
    entry = catalogue.lookup("Acme", "base", "1")
    kinds = {recipe.kind for one in catalogue.entries(entry.image) for recipe in one.recipes}
    assert kinds == {"file", "download", "bootstrap", "provide"}
    assert entry.version == "2.0.0"


def test_the_fields_of_a_catalogue_are_on_its_page() -> None:
    models = catalogue_schema()["$defs"]
    for name in ("CatalogueImage", "BootstrapRecipe", "DownloadRecipe", "FileRecipe", "ProvideRecipe"):
        for field in models[name]["properties"]:
            assert f"`{field}`" in CATALOGUE.read_text() or field == "kind", f"{name}.{field}"


def test_the_table_of_built_in_images_is_up_to_date() -> None:
    text = CATALOGUE.read_text()
    assert with_table(text) == text, "run: .venv/bin/python -m builder.sources.catalogue.document docs"
