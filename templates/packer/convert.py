"""From a Packer template to an AIB template and a list of all that did not simply go over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from templates.arm.scope import DeploymentScope
from templates.files import read_text
from templates.packer.azure_arm import read_azure_arm
from templates.packer.document import Build, PackerDocument, PackerError
from templates.packer.legacy import read_legacy
from templates.packer.machine import Frame, Machine, SizeFor, clean_name
from templates.packer.notes import NOTHING, Note, Notes
from templates.packer.qemu import read_qemu
from templates.packer.reasons import of_post_processor
from templates.packer.section import Section
from templates.packer.steps import convert_steps
from templates.packer.texts import Texts
from templates.versions import NEWEST

_BUILDERS: dict[str, Callable[[Section, Frame], Machine]] = {
    "qemu": read_qemu,
    "azure-arm": read_azure_arm,
}


@dataclass(frozen=True, slots=True)
class Imported:
    """An AIB template as JSON, the notes about it, and the name of the builder it was made from."""

    template: dict[str, Any]  # JSON
    notes: tuple[Note, ...]
    builder: str


def read_packer(path: Path) -> PackerDocument:
    """Read a Packer template: JSON, HCL2, or a folder of `*.pkr.hcl` files, which Packer takes as one.

    Raises PackerError for a file that is neither, UnreadableFile, and TemplateError for broken JSON.
    """
    # Imported late: HCL2's parser takes longer to load than most templates take to import.
    if path.is_dir():
        from templates.packer.hcl import read_hcl

        files = sorted(path.glob("*.pkr.hcl"))
        if not files:
            raise PackerError(f"{path}: the folder holds no *.pkr.hcl file", hint="name a file")
        return read_hcl([(file, read_text(file)) for file in files], path)
    text = read_text(path)
    if text.lstrip().startswith(("{", "[")) or path.suffix == ".json":
        return read_legacy(text, path)
    from templates.packer.hcl import read_hcl

    return read_hcl([(path, text)], path)


def import_packer(
    document: PackerDocument, *, builder: str | None, scope: DeploymentScope, size_for: SizeFor
) -> Imported:
    """The AIB template of one builder of `document`.

    `builder` names it (the one that can be imported, when there is one only); `scope` gives the
    subscription and location that Packer's template leaves open; `size_for` finds a vmSize. Raises
    PackerError when no builder, or more than one, is meant.
    """
    build = _choose(document, builder)
    notes = Notes(document.locate)
    texts = Texts(document.variables, notes, build.builder.name, build.builder.kind)
    name = _template_name(document, build)
    section = Section(build.builder.data, build.builder.pointer, notes, texts)
    machine = _BUILDERS[build.builder.kind](section, Frame(name, scope, size_for))
    if not machine.distribute:
        machine.distribute.append({"type": "VHD", "runOutputName": clean_name(f"{name[:60]}-vhd")})
        why = "the builder names no image to make, and AIB wants a target: a VHD was added"
        notes.add("changed", build.builder.pointer, why, "change 'distribute' as you like")
    steps = convert_steps(build, notes, texts)
    _note_the_rest(document, build, notes)
    texts.finish()
    properties = {"source": machine.source, "customize": steps, "distribute": machine.distribute}
    if machine.vm_profile:
        properties["vmProfile"] = machine.vm_profile
    template = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": NEWEST,
        "name": name,
        "location": machine.location or scope.location,
        # Azure asks for one; which, only its user can say.
        "identity": {"type": "None"},
        "properties": {**properties, **machine.properties},
    }
    return Imported(template, notes.finish(), build.name)


def _choose(document: PackerDocument, wanted: str | None) -> Build:
    known = [build for build in document.builds if build.builder.kind in _BUILDERS]
    names = ", ".join(build.name for build in known)
    if wanted is not None:
        for build in document.builds:
            if build.name == wanted:
                if build in known:
                    return build
                message = f"{document.file}: the builder '{wanted}' is of the type {build.builder.kind}"
                raise PackerError(message, hint=f"only {' and '.join(_BUILDERS)} can be imported")
        hint = f"these can be imported: {names}" if names else None
        raise PackerError(f"{document.file}: there is no builder '{wanted}'", hint=hint)
    if not known:
        kinds = ", ".join(sorted({build.builder.kind for build in document.builds})) or "none"
        message = f"{document.file}: no builder of a type that can be imported (found: {kinds})"
        raise PackerError(message, hint=f"only {' and '.join(_BUILDERS)} can be imported")
    if len(known) > 1:
        message = f"{document.file}: {len(known)} builders can be imported; choose one"
        raise PackerError(message, details=(f"builders: {names}",), hint=f"--builder {known[0].name}")
    return known[0]


def _template_name(document: PackerDocument, build: Build) -> str:
    stem = document.file.absolute().name
    for ending in (".pkr.hcl", ".hcl", ".json", ".packer"):
        stem = stem.removesuffix(ending)
    several = len(document.builds) > 1 or build.name != build.builder.kind
    return clean_name(f"{stem}-{build.name}" if several else stem)


def _note_the_rest(document: PackerDocument, build: Build, notes: Notes) -> None:
    """Everything beside the chosen builder and its provisioners."""
    for remark in document.remarks:
        notes.add(remark.kind, remark.pointer, remark.why, remark.advice)
    for part in build.post_processors:
        kind, why, advice = of_post_processor(part.kind)
        notes.add(kind, part.pointer, why, advice)
    chosen = {part.pointer for part in (*build.provisioners, *build.post_processors, build.builder)}
    for other in document.builds:
        if other is build:
            continue
        if other.builder.kind in _BUILDERS:
            why, advice = "another builder was chosen", f"build import packer FILE --builder {other.name}"
        else:
            why, advice = f"no images are made with {other.builder.kind}", NOTHING
        for part in (other.builder, *other.provisioners, *other.post_processors):
            if part.pointer not in chosen:
                notes.add("lost", part.pointer, why, advice)
