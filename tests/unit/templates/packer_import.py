"""Helpers of the tests of `templates.packer`: import a template, read what came out."""

import json
import re
from pathlib import Path

import templates
from templates.packer.convert import Imported, import_packer, read_packer

TEMPLATES = Path(__file__).parent / "packer"
SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")


def size_for(cpus: int, memory: int) -> str | None:
    return "Standard_D2s_v5" if cpus <= 64 else None


def load(path: Path, builder: str | None = None) -> Imported:
    return import_packer(read_packer(path), builder=builder, scope=SCOPE, size_for=size_for)


def convert(data: dict, tmp_path: Path, builder: str | None = None) -> Imported:
    """Import a JSON template given as Python."""
    file = tmp_path / "template.json"
    file.write_text(json.dumps(data))
    return load(file, builder)


def azure(*provisioners: dict, **settings: object) -> dict:
    """A small Linux template of azure-arm."""
    builder = {
        "type": "azure-arm",
        "image_publisher": "Debian",
        "image_offer": "debian-12",
        "image_sku": "12",
        "managed_image_name": "web",
        "managed_image_resource_group_name": "images",
        "location": "westeurope",
        **settings,
    }
    return {"builders": [builder], "provisioners": list(provisioners)}


def steps(found: Imported) -> list[dict]:
    return found.template["properties"]["customize"]


def notes(found: Imported, kind: str | None = None) -> dict[str, str]:
    """What is noted, as place -> why."""
    return {note.what: note.why for note in found.notes if kind in (None, note.kind)}


def to_give(found: Imported) -> dict[str, str]:
    """The variables that the notes ask for, each with a value."""
    names = [re.search(r"--var (\w+)=", note.advice) for note in found.notes if note.kind == "fill"]
    return {match[1]: "2.0.0" for match in names if match}


def read(found: Imported, tmp_path: Path, **variables: str):
    """The template as our own reader sees it. Raises TemplateError."""
    file = tmp_path / "imported.json"
    file.write_text(json.dumps(found.template))
    return templates.read(file, variables={**to_give(found), **variables}, defaults=SCOPE)
