"""Packer's HCL2 templates: source, build, variable and locals blocks, by python-hcl2's parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from templates.diagnostics import Location
from templates.packer.document import Build, PackerDocument, PackerError, Part, Remark, Variable
from templates.packer.hcl_blocks import Block, read_blocks
from templates.packer.hcl_values import Values
from templates.packer.notes import NOTHING
from templates.pointers import join, parent

_BLOCKS: dict[str, tuple[str, str]] = {
    "packer": ("Packer and its plugins do not run any more", NOTHING),
}
_DATA = ("no data is fetched while a template is read", "give the value by --var")
_VARIABLE: dict[str, tuple[str, str]] = {
    "type": ("values given by --var are texts", NOTHING),
    "description": ("variables have no description", NOTHING),
    "sensitive": ("the default of a secret is not written into the template", NOTHING),
}
_BUILD: dict[str, tuple[str, str]] = {
    "name": ("a build has no name of its own", NOTHING),
    "description": ("an AIB template has no description", NOTHING),
}


def read_hcl(files: Sequence[tuple[Path, str]], path: Path) -> PackerDocument:
    """Files that together are one template. Raises PackerError with the place of what is wrong."""
    return _Reader(files, path).document()


class _Reader:
    def __init__(self, files: Sequence[tuple[Path, str]], path: Path) -> None:
        self.path = path
        self.places: dict[str, Location] = {}
        self.remarks: list[Remark] = []
        self.blocks: list[Block] = []
        for file, text in files:
            self.blocks += read_blocks(file, text)
        self.values = Values(self._lookup)
        self.raw_variables: dict[str, tuple[Any, bool, str]] = {}
        self.raw_locals: dict[str, Any] = {}
        self.substituted: set[str] = set()

    def document(self) -> PackerDocument:
        for block in self.blocks:
            self._declare(block)
        sources = dict(self._sources())
        builds = list(self._builds(sources))
        if not builds:
            hint = "a Packer template has 'source' and 'build' blocks; 'build' names its sources"
            raise PackerError(f"{self.path}: this is no Packer template: nothing is built", hint=hint)
        used = {build.builder.pointer for build in builds}
        for part in sources.values():
            if part.pointer not in used:
                self._remark("implied", part.pointer, "no build uses this source", NOTHING)
        variables = {
            name: Variable(name, self.values.value(raw), pointer, sensitive)
            for name, (raw, sensitive, pointer) in self.raw_variables.items()
            if name not in self.substituted
        }
        return PackerDocument(self.path, variables, tuple(builds), tuple(self.remarks), self._locate)

    def _locate(self, pointer: str) -> Location:
        known = pointer
        while known not in self.places and known:
            known = parent(known)
        place = self.places.get(known, Location(str(self.path), 1, 1))
        return Location(place.file, place.line, place.column, pointer)

    def _remark(self, kind: Any, pointer: str, why: str, advice: str) -> None:  # noqa: ANN401 - a Kind
        self.remarks.append(Remark(kind, pointer, why, advice))

    def _place(self, block: Block, pointer: str) -> None:
        """Remember where a block and all that is in it stands."""
        self.places[pointer] = block.place
        for key, place in block.places.items():
            self.places[join(pointer, key)] = place
        for key, inner in block.blocks:
            self._place(inner, join(pointer, key, block.index_of(inner)))

    # -- variables and locals -------------------------------------------------------------------

    def _declare(self, block: Block) -> None:
        kind, labels = block.kind, block.labels
        if kind == "variable" and len(labels) == 1:
            pointer = join("", "variable", labels[0])
            self._place(block, pointer)
            secret = block.data.get("sensitive") is True
            self.raw_variables[labels[0]] = (block.data.get("default"), secret, pointer)
            for key in (*block.data, *(name for name, _ in block.blocks)):
                if key != "default":
                    found = _VARIABLE.get(key)
                    why, advice = found or ("values are not checked by rules", "check them in a step")
                    self._remark("implied" if found else "lost", join(pointer, key), why, advice)
        elif kind in ("variables", "locals") and not labels:
            word = kind.removesuffix("s")
            for name, raw in block.data.items():
                pointer = join("", word, name)
                self.places[pointer] = block.places[name]
                if word == "local":
                    self._declare_local(name, raw, pointer)
                else:
                    self.raw_variables[name] = (raw, False, pointer)
        elif kind == "local" and len(labels) == 1:
            pointer = join("", "local", labels[0])
            self._place(block, pointer)
            self._declare_local(labels[0], block.data.get("expression"), pointer)
        elif kind not in ("source", "build"):
            pointer = join("", kind, *labels)
            self._place(block, pointer)
            why, advice = _BLOCKS.get(kind, _DATA if kind == "data" else ("an unknown block", "check it"))
            self._remark("implied" if kind in _BLOCKS else "lost", pointer, why, advice)

    def _declare_local(self, name: str, raw: Any, pointer: str) -> None:  # noqa: ANN401 - any JSON value
        self.raw_locals[name] = raw
        self._remark("implied", pointer, "a local is written out where it is used", NOTHING)

    def _lookup(self, space: str, name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
        """What `var.name` and `local.name` are in the JSON form; None when nothing is known of them."""
        if space == "local":
            return self.values.value(self.raw_locals.get(name), name=name, depth=depth)
        default, _, pointer = self.raw_variables.get(name, (None, False, ""))
        if not isinstance(default, list | dict):
            return f"{{{{user `{name}`}}}}"
        if name not in self.substituted:
            self.substituted.add(name)
            why = "a list or an object cannot be a variable: its default was written in"
            self._remark("changed", pointer, why, "change it in the template")
        return self.values.value(default, depth=depth)

    # -- sources and builds ---------------------------------------------------------------------

    def _sources(self) -> Iterator[tuple[str, Part]]:
        for block in self.blocks:
            if block.kind == "source" and len(block.labels) == 2:
                pointer = join("", "source", *block.labels)
                self._place(block, pointer)
                name = ".".join(block.labels)
                yield name, Part(block.labels[0], self._data(block), pointer, name)
            elif block.kind == "source":
                message = f"{block.place}: a source has a type and a name"
                raise PackerError(message, hint='source "qemu" "base" { … }')

    def _data(self, block: Block) -> dict[str, Any]:
        """Attributes and inner blocks; of these a list for each name, as Packer's JSON has them."""
        data = {key: self.values.value(raw) for key, raw in block.data.items()}
        for key, inner in block.blocks:
            data.setdefault(key, []).append({**self._labels(inner), **self._data(inner)})
        return data

    def _labels(self, block: Block) -> dict[str, Any]:
        return {"labels": list(block.labels)} if block.labels else {}

    def _builds(self, sources: dict[str, Part]) -> Iterator[Build]:
        builds = [block for block in self.blocks if block.kind == "build"]
        seen: set[str] = set()
        for index, block in enumerate(builds):
            pointer = join("", "build", index)
            self._place(block, pointer)
            provisioners = tuple(self._parts(block, pointer, "provisioner"))
            after = tuple(self._after(block, pointer))
            self._remark_build(block, pointer)
            for builder in self._builders(block, pointer, sources):
                name = builder.name
                if name in seen:
                    name = f"{self.values.value(block.data.get('name')) or f'build{index}'}.{name}"
                seen.add(name)
                yield Build(name, builder, provisioners, after)

    def _builders(self, block: Block, pointer: str, sources: dict[str, Part]) -> Iterator[Part]:
        listed = self.values.value(block.data.get("sources")) or []
        for text in listed if isinstance(listed, list) else [listed]:
            yield self._source(str(text), sources, join(pointer, "sources"))
        for key, inner in block.blocks:
            if key == "source" and len(inner.labels) == 1:
                at = join(pointer, "source", block.index_of(inner))
                part = self._source(inner.labels[0], sources, at)
                own = self._data(inner)
                named = own.pop("name", None)
                for setting in own:  # where it is set last is where it is looked for
                    self.places[join(part.pointer, setting)] = self._locate(join(at, setting))
                name = f"{part.kind}.{named}" if isinstance(named, str) else part.name
                yield Part(part.kind, {**part.data, **own}, part.pointer, name)

    def _source(self, text: str, sources: dict[str, Part], pointer: str) -> Part:
        part = sources.get(text.removeprefix("source."))
        if part is None:
            hint = f"there are: {', '.join(sources)}" if sources else "give the folder with all files"
            raise PackerError(f"{self._locate(pointer)}: there is no source '{text}'", hint=hint)
        return part

    def _parts(self, block: Block, pointer: str, kind: str) -> Iterator[Part]:
        for key, inner in block.blocks:
            if key == kind:
                at = join(pointer, kind, block.index_of(inner))
                yield Part(inner.labels[0] if inner.labels else "", self._data(inner), at)

    def _after(self, block: Block, pointer: str) -> Iterator[Part]:
        yield from self._parts(block, pointer, "post-processor")
        for key, inner in block.blocks:
            if key == "post-processors":
                at = join(pointer, key, block.index_of(inner))
                yield from self._parts(inner, at, "post-processor")

    def _remark_build(self, block: Block, pointer: str) -> None:
        known = ("sources", "source", "provisioner", "post-processor", "post-processors")
        for key in (*block.data, *(name for name, _ in block.blocks)):
            if key in _BUILD:
                self._remark("implied", join(pointer, key), *_BUILD[key])
            elif key == "error-cleanup-provisioner":
                why = "there is no step that runs only after a failure"
                advice = "'build run --on-error keep' keeps the machine to look at"
                self._remark("lost", join(pointer, key), why, advice)
            elif key not in known:
                self._remark("lost", join(pointer, key), "it has no counterpart", "check what it does")
