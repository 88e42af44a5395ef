"""A home to measure in: below the real one's cache, with its bases and images, gone afterwards.

Everything it takes over is a hard link or a copy, so whatever a build replaces or deletes in here, the
real home keeps its own.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from builder.cancellation import shielded
from builder.layers.layer import BOOT, META
from builder.lock import FileLock
from builder.settings import Home
from builder.sources.scratch import remove_tree

_FOLDER = "bench"
_BUSY_SECONDS = 30.0


class BenchHome:
    """`out` is where VHDs go; `home` is what GOLDSMITH_HOME names."""

    def __init__(self, real: Home, root: Path) -> None:
        self.home = Home(root)
        self.out = root / "out"
        self._real = real

    def private_file(self, name: str, data: object) -> Path:
        """A JSON file in here that only this user can read."""
        path = self.home.root / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(data))
        return path

    def begin_anew(self) -> None:
        """As before the first build, but for the cache: runs, images, versions and numbers.

        VHDs stay where they are: a build that makes the same one again has nothing to do, here and elsewhere.
        """
        for folder in (self.home.runs, self.home.images, self.home.regions, self.home.staging):
            if folder.exists():
                remove_tree(folder)
        for file in self.home.root.glob(f"{self.home.registry.name}*"):
            file.unlink()
        self.out.mkdir(exist_ok=True)
        for name in ("images", "regions"):
            _link_tree(self._real.root / name, self.home.root / name)
        if self._real.registry.exists():
            _copy_database(self._real.registry, self.home.registry)

    def forget(self, *, keep_warm_base: bool) -> None:
        """Drop layers and finished images; the warm base (the layer of the first boot) may stay."""
        if self.home.finished.exists():
            remove_tree(self.home.finished)
        for layer in self.home.layers.iterdir() if self.home.layers.is_dir() else ():
            if not (keep_warm_base and _kind_of(layer) == BOOT):
                remove_tree(layer) if layer.is_dir() else layer.unlink()

    @property
    def knows_warm_base(self) -> bool:
        """Whether the layer of a first boot is there."""
        folder = self.home.layers
        return folder.is_dir() and any(_kind_of(layer) == BOOT for layer in folder.iterdir())

    def _furnish(self) -> None:
        root, real = self.home.root, self._real.root
        root.mkdir(parents=True, mode=0o700)
        for name in ("cache/bases", "cache/downloads"):
            _link_tree(real / name, root / name)
        for name in ("settings.toml", "cache/accelerator.json"):
            if (real / name).is_file():
                shutil.copyfile(real / name, root / name)
        catalogue = real / "catalogue.json"
        if catalogue.is_file():
            (root / catalogue.name).write_text(_anchored(catalogue))
        if (real / "catalogues").is_dir():  # their relative paths start where they came from
            shutil.copytree(real / "catalogues", root / "catalogues")


@contextmanager
def bench_home(real: Home) -> Iterator[BenchHome]:
    """A new one, for the time of the block. What earlier ones left that were killed goes first."""
    remove_dead(real)
    root = _folder(real) / uuid.uuid4().hex[:12]
    lock = _lock_of(root)
    lock.try_acquire()
    made = BenchHome(real, root)
    try:
        made._furnish()
        yield made
    finally:
        with shielded():
            if root.exists():
                remove_tree(root)
            lock.release()
            with suppress(OSError):
                root.parent.rmdir()


def dead(real: Home) -> list[Path]:
    """Homes whose bench is gone."""
    found = []
    for root in _folder(real).glob("[!.]*") if _folder(real).is_dir() else ():
        lock = _lock_of(root)
        if lock.try_acquire():
            lock.release()
            found.append(root)
    return found


def remove_dead(real: Home) -> None:
    """Take away what a bench that was killed left."""
    for root in dead(real):
        remove_tree(root)


def _folder(real: Home) -> Path:
    return real.root / "cache" / _FOLDER


def _lock_of(root: Path) -> FileLock:
    return FileLock(root.with_name(f".{root.name}.lock"))


def _kind_of(layer: Path) -> str:
    try:
        return str(json.loads((layer / META).read_bytes())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _link_tree(source: Path, target: Path) -> None:
    """The files below `source` under their names below `target`; what is half made stays out."""
    for file in sorted(source.rglob("*")) if source.is_dir() else ():
        inner = file.relative_to(source)
        if file.is_symlink() or not file.is_file() or any(part.startswith(".") for part in inner.parts):
            continue
        place = target / inner
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # a build took it away meanwhile
            place.hardlink_to(file)


def _copy_database(source: Path, target: Path) -> None:
    address = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as read,
        closing(sqlite3.connect(target)) as write,
    ):
        read.backup(write)


def _anchored(catalogue: Path) -> str:
    """The catalogue with its relative paths made absolute: they begin at its own folder."""
    data = json.loads(catalogue.read_text(encoding="utf-8"))
    for image in data.get("images", []):
        versions = image.get("versions", {}).values()
        for recipe in [one for some in versions for one in (some if isinstance(some, list) else [some])]:
            if recipe.get("kind") == "file" and "path" in recipe:
                recipe["path"] = str(catalogue.parent / Path(recipe["path"]).expanduser())
    return json.dumps(data)
