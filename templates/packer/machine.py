"""What a builder of Packer says about the machine and the image, in AIB's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from templates.arm.scope import DeploymentScope
from templates.packer.section import Section

Json = dict[str, Any]  # a part of the template
SizeFor = Callable[[int, int], str | None]
"""The vmSize for that many CPUs and MiB of memory; None when none is large enough."""

_LONGEST_NAME = 64


@dataclass
class Machine:
    """The parts of a template that a builder fills. `location` is "" when it does not say."""

    source: Json
    distribute: list[Json] = field(default_factory=list)
    vm_profile: Json = field(default_factory=dict)
    properties: Json = field(default_factory=dict)
    location: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a builder has to know beside its settings. `name` is the template's."""

    name: str
    scope: DeploymentScope
    size_for: SizeFor


def clean_name(text: str) -> str:
    """`text` as AIB allows names: at most 64 letters, digits, '-', '_' and '.'."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-")[:_LONGEST_NAME] or "image"


def output_name(section: Section, key: str, fallback: str) -> str:
    """A runOutputName from a text of Packer's, or `fallback`."""
    text = re.sub(r"\.(qcow2|img|raw|vhd)\Z", "", section.text(key) or "", flags=re.IGNORECASE)
    if not text:
        return fallback
    if "{{" in text:  # what it comes to is checked when the template is read
        return text
    name = clean_name(text)
    if name != text:
        why = f"AIB allows letters, digits, '-', '_' and '.' here: it became '{name}'"
        section.notes.add("changed", section.place(key), why, "check that nothing expects the old name")
    return name


def data_disks(section: Section, key: str, sizes: list[int]) -> Json:
    """`additionalDataDisks`, sizes in GB."""
    if not sizes:
        return {}
    why = "the guest finds them at /dev/disk/by-id/virtio-lun0 and so on, not by the names Packer's guest had"
    section.notes.add("changed", section.place(key), why, "look whether a script names a disk")
    return {"additionalDataDisks": [{"sizeGB": size} for size in sizes]}
