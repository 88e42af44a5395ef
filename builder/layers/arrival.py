"""`build cache import`: an archive of another machine becomes layers, images and bases of this one."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from builder.deadline import Deadline
from builder.disk import vhd
from builder.disk.extents import sync_file
from builder.errors import EnvironmentProblem, GoldsmithError, UsageError
from builder.layers.archive import Archive, PackedFile
from builder.layers.cache import GIB, KEEP_FREE, Cache
from builder.layers.finished import IMAGE, FinishedStore
from builder.layers.layer import ACCESS, DISK, MEMORIES, META, SEED, VARS, Layer
from builder.layers.store import LayerStore
from builder.layers.transfer import is_drawn, private_place
from builder.sources.bases import BaseCache, BaseMeta
from builder.sources.entry import ENTRY

if TYPE_CHECKING:
    from builder.settings import Home

_FILES_OF = {
    "layers": {DISK, *MEMORIES, VARS, META, SEED, ACCESS},
    "finished": {IMAGE, META},
}
_BASE_LOCK_SECONDS = 600.0
_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_FEATURES_AT = 72
_EXTERNAL_DATA = 1 << 2


@dataclass(slots=True)
class Imported:
    """What an import did, as ids. `already_here` stayed as it was; `other_making` is left out, because a
    layer below it was made on this machine too, and differs. `without_base` are the sources of imported
    layers and images that this machine lacks: until they come, those are of no use.
    """

    layers: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)
    already_here: list[str] = field(default_factory=list)
    other_making: list[str] = field(default_factory=list)
    without_base: list[str] = field(default_factory=list)


def import_file(home: Home, cache: Cache, file: Path) -> Imported:
    """Take in what a file of `build cache export` holds. Raises UsageError, BadCacheFile, ConflictError,
    EnvironmentProblem; when one of the first three, nothing was imported.
    """
    if not file.is_file():
        raise UsageError(f"{file} is no file.", hint="'build cache export FILE' makes one.")
    try:
        with Archive(file) as archive, private_place(home) as place:
            arrival = _Arrival(home, cache, archive, place)
            arrival.unpack()
            arrival.check()
            return arrival.settle()
    except OSError as error:
        if error.filename == str(file):
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
        raise EnvironmentProblem(
            f"{file} was not imported: {error.strerror or error}.", hint=f"Look at {home.root}."
        ) from error


class _Arrival:
    """One import. The private place mirrors the home's cache, so that its stores can judge it."""

    def __init__(self, home: Home, cache: Cache, archive: Archive, place: Path) -> None:
        self._cache, self._archive, self._place = cache, archive, place
        self._bases, self._new_bases = BaseCache(home.bases), BaseCache(place / "bases")
        self._new_layers = LayerStore(place / "layers")
        self._new_images = FinishedStore(place / "finished")
        self._groups: dict[str, dict[str, set[str]]] = {"layers": {}, "finished": {}, "bases": {}}
        for packed in archive.manifest.files:
            kind, name, part = PurePosixPath(packed.name).parts
            self._groups[kind].setdefault(name, set()).add(part)
        self._layers: list[Layer] = []
        self._base_metas: dict[str, BaseMeta] = {}
        self._done = Imported()

    def unpack(self) -> None:
        """Verify all of it and unpack what is new here, and of the rest what says whether it is the same."""
        for kind, known in _FILES_OF.items():
            for parts in self._groups[kind].values():
                needed = {META, DISK if kind == "layers" else IMAGE}
                if not needed <= parts <= known:
                    raise self._archive.wrong(f"one of its {kind} has other files than it should")
        new = [file for file in self._archive.manifest.files if self._is_new(file)]
        size = sum(file.packed for file in new)
        free = shutil.disk_usage(self._place).free
        if size + KEEP_FREE > free:
            raise EnvironmentProblem(
                f"There is no room to import {size / GIB:.1f} GiB: {free / GIB:.1f} GiB are free, "
                f"of which {KEEP_FREE / GIB:.0f} are left to builds.",
                hint="'build cache prune --all' and 'build gc' make room.",
            )
        wanted = {file.name for file in new}
        self._archive.unpack(lambda file: self._place / file.name if file.name in wanted else None)

    def check(self) -> None:
        """Look at everything that was unpacked, before any of it moves."""
        for key, parts in self._groups["bases"].items():
            self._check_base(key, parts)
        for image_id in self._groups["finished"]:
            if (self._place / "finished" / image_id).exists():
                self._check_image(image_id)
        for layer_id in self._groups["layers"]:
            if (self._place / "layers" / layer_id / DISK).exists():
                self._layers.append(self._checked_layer(layer_id))
            else:
                self._note_known(layer_id)
        self._order()

    def settle(self) -> Imported:
        """Move everything to its place."""
        deadline = Deadline(_BASE_LOCK_SECONDS, what="an import's wait for a build that makes the same base")
        from builder.events import EventBus
        from builder.redact import Redactor

        done, bus = self._done, EventBus(Redactor())
        for key in self._base_metas:
            moved = self._bases.adopt(key, self._place / "bases" / key, deadline=deadline, bus=bus)
            (done.bases if moved else done.already_here).append(key)
        for layer in self._layers:
            if self._cache.layers.add(layer):
                done.layers.append(layer.meta.id)
            else:
                done.other_making.append(layer.meta.id)
        for image_id in self._groups["finished"]:
            folder = self._place / "finished" / image_id
            if folder.exists() and self._cache.finished.adopt(folder, image_id) is not None:
                done.images.append(image_id)
        sources = {layer.meta.source for layer in self._layers if layer.meta.id in done.layers}
        sources |= {image.meta.source for image in self._cache.finished.all() if image.meta.id in done.images}
        done.without_base = sorted(source for source in sources if is_drawn(source) and not self._has(source))
        return done

    def _is_new(self, file: PackedFile) -> bool:
        kind, name, part = PurePosixPath(file.name).parts
        if kind == "layers":
            return part == META or self._cache.layers.find(name) is None
        if kind == "bases":
            return part == META or self._bases.find(name) is None
        is_here = self._cache.finished.find(name) is not None
        if is_here and part == META:
            self._done.already_here.append(name)
        return not is_here

    def _check_base(self, key: str, parts: set[str]) -> None:
        folder = self._place / "bases" / key
        # The disk of one that is here already was not unpacked; its description stands for it.
        meta = self._new_bases.read(key)
        if meta is None or parts - {ENTRY} != {META, meta.file} or meta.identity.partition("-")[0] != key:
            raise self._archive.wrong("the description of a base in it is wrong")
        if self._bases.check_free(key, meta):
            self._done.already_here.append(key)
            return
        if self._new_bases.find(key) is None:
            raise self._archive.wrong("a base in it is not as described")
        if meta.disk_format == "qcow2":
            self._check_qcow2(folder / meta.file)
        self._seal(folder, meta.file)
        self._base_metas[key] = meta

    def _check_image(self, image_id: str) -> None:
        folder = self._place / "finished" / image_id
        meta = self._new_images.read(image_id)
        if meta is not None:
            # The time it was written at is how the store knows that nobody touched it since.
            os.utime(folder / IMAGE, ns=(meta.modified, meta.modified))
        try:
            vhd.check_fixed_vhd(folder / IMAGE)
        except GoldsmithError as error:
            raise self._archive.wrong(f"a finished image in it is none: {error.message}") from error
        if self._new_images.find(image_id) is None:
            raise self._archive.wrong("a finished image in it is not as described")
        self._seal(folder, IMAGE)

    def _checked_layer(self, layer_id: str) -> Layer:
        layer = self._new_layers.find(layer_id)
        if layer is None or not layer.meta.instance:
            raise self._archive.wrong(f"its layer {layer_id[:12]} is not as described")
        self._check_qcow2(layer.folder / DISK)
        return layer

    def _check_qcow2(self, path: Path) -> None:
        """QEMU is told what lies below a file, but would open a data file that its header names."""
        with path.open("rb") as file:
            header = file.read(_QCOW2_FEATURES_AT + 8)
        features = int.from_bytes(header[_QCOW2_FEATURES_AT:], "big") if header[4:8] > b"\0\0\0\2" else 0
        if header[:4] != _QCOW2_MAGIC or features & _EXTERNAL_DATA:
            raise self._archive.wrong(f"the disk {path.parent.name[:12]}/{path.name} is not one of ours")

    def _note_known(self, layer_id: str) -> None:
        here, meta = self._cache.layers.find(layer_id), self._new_layers.read(layer_id)
        same = here is not None and meta is not None and here.meta.instance == meta.instance
        (self._done.already_here if same else self._done.other_making).append(layer_id)

    def _order(self) -> None:
        """Parents first; what lies on another making than ours is left out. What is beneath everything
        must be in the file or here.
        """
        here = {layer.meta.instance for layer in self._cache.layers.all()}
        metas = [self._new_layers.read(layer_id) for layer_id in self._groups["layers"]]
        in_file = {meta.instance for meta in metas if meta is not None}
        above: dict[str, list[Layer]] = defaultdict(list)
        for layer in self._layers:
            if layer.meta.parent and layer.meta.parent not in here | in_file:
                raise self._archive.wrong(
                    f"what its layer '{layer.meta.name}' lies on is neither in it nor here"
                )
            above[layer.meta.parent].append(layer)
        ordered: list[Layer] = []
        ready = [layer for below in ("", *sorted(here)) for layer in above.pop(below, [])]
        for layer in ready:  # grows while it is walked through
            ordered.append(layer)
            ready += above.pop(layer.meta.instance, [])
        self._done.other_making += [layer.meta.id for left in above.values() for layer in left]
        self._layers = ordered

    def _has(self, source: str) -> bool:
        meta = self._bases.find(source.partition("-")[0])
        return meta is not None and meta.identity == source

    def _seal(self, folder: Path, name: str) -> None:
        (folder / name).chmod(0o444)
        for file in folder.iterdir():
            sync_file(file)
