"""Taking a part of the cache to another machine: `build cache export` and `import`.

Rules:
- A layer travels with all it lies on, except the source's disk: the other machine has it, or gets it with
  `bases`. A bootstrapped base is never made byte-equal elsewhere, so without that very one its layers
  are of no use.
- An import is unpacked and verified as a whole in a private place, then moved in, each by one rename.
- What is here already stays; what lies on another making of a layer is left out.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.extents import appearing, link_or_copy
from builder.errors import NotFoundError, UsageError
from builder.layers.archive import pack
from builder.layers.cache import Cache
from builder.layers.finished import IMAGE, FinishedLayer
from builder.layers.layer import MEMORIES, META, Layer
from builder.lock import FileLock
from builder.sources.bases import BaseCache, BaseMeta
from builder.sources.entry import ENTRY

if TYPE_CHECKING:
    from builder.settings import Home

SHORTEST = 4
"""How many digits of an id are needed to name a layer."""
_DRAWN = re.compile(r"[0-9a-f]{64}-[0-9a-f]{32}")


@dataclass(frozen=True)
class Selection:
    """What is to be exported. `without_base` are the sources whose very disk the other machine needs and
    does not get.
    """

    layers: tuple[Layer, ...]
    images: tuple[FinishedLayer, ...] = ()
    bases: dict[str, BaseMeta] = field(default_factory=dict)
    without_base: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `size` of the file, in bytes."""

    file: Path
    size: int
    layers: tuple[str, ...]
    images: tuple[str, ...]
    bases: tuple[str, ...]
    without_base: tuple[str, ...]


def select(
    cache: Cache,
    bases: BaseCache,
    wanted: Sequence[str] = (),
    *,
    template: str = "",
    images: bool = False,
    with_base: bool = False,
) -> Selection:
    """What `wanted` (beginnings of ids) or a template names, else everything, with all it lies on.

    Raises NotFoundError, UsageError.
    """
    layers, found = cache.layers.all(), cache.finished.all() if images else []
    if wanted:
        layers_named = [_one(word, layers) for word in wanted]
        found = []
    else:
        layers_named = [one for one in layers if template in ("", one.meta.template)]
        found = [one for one in found if template in ("", one.meta.template)]
    if template and not layers_named and not found:
        known = sorted({one.meta.template for one in layers})
        raise NotFoundError(
            f"There are no layers of a template '{template}' in the cache.",
            details=(f"Templates with layers here: {', '.join(known) or 'none'}",),
        )
    whole = _with_parents(layers, layers_named)
    # A finished image is found by what it was made of, so it needs its source's identity there, too.
    sources = sorted({layer.meta.source for layer in whole} | {image.meta.source for image in found})
    chosen = {key: meta for source in sources if with_base for key, meta in _base_of(bases, source)}
    included = {meta.identity for meta in chosen.values()}
    lacking = tuple(source for source in sources if source not in included and is_drawn(source))
    return Selection(tuple(whole), tuple(found), chosen, lacking)


def export(home: Home, selection: Selection, file: Path, *, memory: bool = True) -> Exported:
    """Write the file, readable by its owner only. Raises UsageError, OSError, NotFoundError for what went
    from the cache meanwhile.
    """
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is no file that could be written.", hint="Name a file, like cache.tar.")
    compress = file.suffix in (".gz", ".tgz")
    with private_place(home) as place:
        # Links of our own: what a build or a prune takes away meanwhile stays here.
        files = [*_layer_files(place, selection, memory=memory), *_image_files(place, selection)]
        for key, meta in selection.bases.items():
            names = [META, meta.file, *([ENTRY] if (home.bases / key / ENTRY).exists() else [])]
            files += [(f"bases/{key}/{name}", home.bases / key / name) for name in names]
        # The small ones first, so that a reader knows early what it has.
        files.sort(key=lambda item: (not item[0].endswith(META), item[0]))
        with appearing(file) as stream:
            pack(files, stream, compress=compress)
    return Exported(
        file,
        file.stat().st_size,
        tuple(layer.meta.id for layer in selection.layers),
        tuple(image.meta.id for image in selection.images),
        tuple(selection.bases),
        selection.without_base,
    )


@contextmanager
def private_place(home: Home) -> Iterator[Path]:
    """A folder of ours beside the workspaces that goes with the block; after a SIGKILL `build gc` sees by
    its lock that nobody works in it any more. Raises OSError.
    """
    home.ensure()
    root = transfers(home)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = root / uuid.uuid4().hex
    lock = FileLock(place.with_suffix(".lock"))
    lock.try_acquire()
    try:
        place.mkdir(mode=0o700)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.release()


def transfers(home: Home) -> Path:
    """Where private places are."""
    return home.staging / ".transfers"


def is_drawn(source: str) -> bool:
    """Whether that identity is of one making of a base (sources/bases.py) and so cannot be made elsewhere."""
    return _DRAWN.fullmatch(source) is not None


def _one(word: str, layers: Sequence[Layer]) -> Layer:
    if len(word) < SHORTEST:
        raise UsageError(f"'{word}' is too short for a layer's id.", hint=f"Give {SHORTEST} digits or more.")
    fitting = [layer for layer in layers if layer.meta.id.startswith(word.lower())]
    if not fitting:
        raise NotFoundError(
            f"There is no layer '{word}' in the cache.", hint="'build cache list' shows their ids."
        )
    if len(fitting) > 1:
        raise UsageError(
            f"'{word}' is the beginning of {len(fitting)} layers' ids.",
            details=tuple(f"{layer.meta.id[:12]}  {layer.meta.name}" for layer in fitting),
            hint="Give more digits.",
        )
    return fitting[0]


def _with_parents(layers: Sequence[Layer], wanted: Sequence[Layer]) -> list[Layer]:
    by_instance = {layer.meta.instance: layer for layer in layers}
    needed: set[str] = set()
    for layer in wanted:
        chain: list[str] = []
        one: Layer | None = layer
        while one is not None and one.meta.instance not in chain:
            chain.append(one.meta.instance)
            if not one.meta.parent:
                needed.update(chain)  # an orphan is of no use to anybody
            one = by_instance.get(one.meta.parent)
    return [layer for layer in layers if layer.meta.instance in needed]


def _base_of(bases: BaseCache, source: str) -> Iterator[tuple[str, BaseMeta]]:
    """The base of that identity, when it lies in the cache."""
    key = source.partition("-")[0]
    meta = bases.find(key)
    if meta is not None and meta.identity == source:
        yield key, meta


def _layer_files(place: Path, selection: Selection, *, memory: bool) -> Iterator[tuple[str, Path]]:
    for layer in selection.layers:
        folder = place / layer.meta.id
        folder.mkdir(mode=0o700)
        try:
            for file in sorted(layer.folder.iterdir(), key=lambda item: item.name == META):
                if not file.name.startswith(".") and (memory or file.name not in MEMORIES):
                    link_or_copy(file, folder / file.name)
        except FileNotFoundError:
            raise _went(layer.meta.name) from None
        mine = Layer.load(folder)
        if mine is None or mine.meta.instance != layer.meta.instance:
            raise _went(layer.meta.name)
        yield from ((f"layers/{layer.meta.id}/{file.name}", file) for file in folder.iterdir())


def _image_files(place: Path, selection: Selection) -> Iterator[tuple[str, Path]]:
    for image in selection.images:
        folder = place / f"image-{image.meta.id}"
        folder.mkdir(mode=0o700)
        try:
            for name in (IMAGE, META):
                link_or_copy(image.folder / name, folder / name)
        except FileNotFoundError:
            raise _went("finished image") from None
        yield from ((f"finished/{image.meta.id}/{name}", folder / name) for name in (IMAGE, META))


def _went(name: str) -> NotFoundError:
    return NotFoundError(f"'{name}' went from the cache meanwhile.", hint="Start the export again.")
