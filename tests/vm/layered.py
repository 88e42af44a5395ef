"""What the tests of layers share: a build of a few steps, its events, and what lies in the cache."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import Cli, CliResult
from test_failing_build import template

from builder.layers.layer import Layer
from builder.layers.store import LayerStore
from builder.settings import Home


def shell(name: str, *lines: str, **extensions: Any) -> dict[str, object]:
    step: dict[str, object] = {"type": "Shell", "name": name, "inline": list(lines)}
    return step | ({"x-goldsmith": extensions} if extensions else {})


@dataclass(frozen=True)
class Built:
    """One build: how it ended and what it said."""

    result: CliResult
    events: list[dict[str, Any]]
    vhd: Path

    def outcomes(self, stage: str = "Customize") -> list[str]:
        return [e["outcome"] for e in self.events if e["kind"] == "step.finished" and e["stage"] == stage]

    @property
    def stages(self) -> list[str]:
        return [e["stage"] for e in self.events if e["kind"] == "stage.started"]

    @property
    def phases(self) -> list[str]:
        return [e["name"] for e in self.events if e["kind"] == "phase.finished"]

    @property
    def codes(self) -> list[str]:
        return [e["code"] for e in self.events if e["kind"] == "note"]

    @property
    def output(self) -> list[str]:
        return [e["line"] for e in self.events if e["kind"] == "step.output" and e["stage"] == "Customize"]


@dataclass
class Series:
    """Builds of one template that changes in between."""

    cli: Cli
    folder: Path
    name: str
    number: int = field(default=0)

    @property
    def store(self) -> LayerStore:
        return LayerStore(Home(self.cli.home).layers)

    def file(self, steps: list[dict[str, object]], **properties: object) -> Path:
        """Its steps are its own: another series with the same commands would share its layers."""
        steps = [step | {"inline": [*step["inline"], f": {self.name}"]} for step in steps]  # type: ignore[misc]
        path = self.folder / f"{self.name}.json"
        path.write_text(json.dumps(template(self.name, steps, **properties), indent=2))
        return path

    def __call__(
        self,
        steps: list[dict[str, object]],
        *options: str,
        env: dict[str, str] | None = None,
        **properties: object,
    ) -> Built:
        self.number += 1
        file = self.file(steps, **properties)
        place = self.folder / f"{self.name}-{self.number}"
        out, events = place / "out", place / "events.jsonl"
        out.mkdir(parents=True)
        result = self.cli(file, "--output-dir", out, "--events", events, *options, env=env)
        lines = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
        return Built(result, lines, out / f"{self.name}-vhd.vhd")

    def layer(self, name: str) -> Layer:
        """The newest layer of that step."""
        found = [x for x in self.store.all() if x.meta.name == name and x.meta.template == self.name]
        return max(found, key=lambda x: x.meta.created)
