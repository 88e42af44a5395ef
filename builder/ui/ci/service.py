"""The languages that the logs of CI services speak.

Sources: GitHub's page "Workflow commands for GitHub Actions"; Azure Pipelines' page "Logging commands"
(with its escapes, `%AZP25`); GitLab's page "Custom collapsible sections".
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Level = Literal["error", "warning"]
Name = Literal["github", "azure", "gitlab"]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file of the repository."""

    file: str
    line: int
    column: int


class Service(Protocol):
    """One CI service. Every method returns whole lines."""

    name: Name

    def open_group(self, title: str) -> str:
        """A part of the log that can be folded away begins."""

    def close_group(self, title: str) -> str:
        """It ends."""

    def annotation(self, level: Level, title: str, text: str, where: Where | None = None) -> str:
        """Something that is shown beside the log, and at its line of the file."""


class GitHub:
    """GitHub Actions."""

    name: Name = "github"

    def open_group(self, title: str) -> str:
        """See Service."""
        return f"::group::{_github_data(title)}\n"

    def close_group(self, title: str) -> str:
        """See Service."""
        return "::endgroup::\n"

    def annotation(self, level: Level, title: str, text: str, where: Where | None = None) -> str:
        """See Service."""
        facts = {"title": title}
        if where is not None:
            facts |= {"file": where.file, "line": str(where.line), "col": str(where.column)}
        listed = ",".join(f"{name}={_github_property(value)}" for name, value in facts.items())
        return f"::{level} {listed}::{_github_data(text)}\n"


class Azure:
    """Azure Pipelines."""

    name: Name = "azure"

    def open_group(self, title: str) -> str:
        """See Service."""
        return f"##[group]{_one_line(title)}\n"

    def close_group(self, title: str) -> str:
        """See Service."""
        return "##[endgroup]\n"

    def annotation(self, level: Level, title: str, text: str, where: Where | None = None) -> str:
        """See Service."""
        facts: dict[str, str] = {"type": level}
        if where is not None:
            facts |= {
                "sourcepath": where.file,
                "linenumber": str(where.line),
                "columnnumber": str(where.column),
            }
        facts["code"] = title
        listed = "".join(f"{name}={_azure_property(value)};" for name, value in facts.items())
        return f"##vso[task.logissue {listed}]{_azure_data(text)}\n"


class GitLab:
    """GitLab CI: sections; it has no annotations, so these are lines that stand out."""

    name: Name = "gitlab"

    def open_group(self, title: str) -> str:
        """See Service."""
        mark = f"section_start:{int(time.time())}:{_section(title)}[collapsed=true]"
        return f"\x1b[0K{mark}\r\x1b[0K{_one_line(title)}\n"

    def close_group(self, title: str) -> str:
        """See Service."""
        return f"\x1b[0Ksection_end:{int(time.time())}:{_section(title)}\r\x1b[0K\n"

    def annotation(self, level: Level, title: str, text: str, where: Where | None = None) -> str:
        """See Service."""
        place = f"{where.file}:{where.line}:{where.column}: " if where is not None else ""
        colour = "\x1b[31;1m" if level == "error" else "\x1b[33;1m"
        return f"{colour}{level}: {place}{title}: {_one_line(text)}\x1b[0m\n"


_SERVICES: dict[str, type[GitHub] | type[Azure] | type[GitLab]] = {
    "github": GitHub,
    "azure": Azure,
    "gitlab": GitLab,
}
CHOICES = ("auto", "none", *_SERVICES)


def detect(environ: Mapping[str, str] = os.environ) -> Service | None:
    """The service we run in, by the variables that each of them sets; None elsewhere."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return GitHub()
    if environ.get("TF_BUILD", "").casefold() == "true":
        return Azure()
    if environ.get("GITLAB_CI") == "true":
        return GitLab()
    return None


def chosen(name: str, environ: Mapping[str, str] = os.environ) -> Service | None:
    """The service of that name; `auto` looks for itself, `none` is none."""
    if name == "auto":
        return detect(environ)
    return _SERVICES[name]() if name in _SERVICES else None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _section(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.casefold()).strip("_") or "part"


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def _azure_data(text: str) -> str:
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _azure_property(text: str) -> str:
    return _azure_data(text).replace("]", "%5D").replace(";", "%3B")
