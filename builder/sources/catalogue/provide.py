"""Images that people bring: the file is noted, with its digest, in the user's own catalogue."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from builder.errors import InUseError, NotFoundError, UsageError
from builder.lock import FileLock
from builder.settings import Home
from builder.sources.catalogue.catalogue import CatalogueEntry
from builder.sources.catalogue.load import load_catalogue, own_file, parse_catalogue
from builder.sources.catalogue.model import FORMAT, FileFormat, ProvideRecipe


@dataclass(frozen=True, slots=True)
class Provided:
    """What was noted where. `size` in bytes."""

    urn: str
    path: Path
    format: str
    sha256: str
    size: int
    catalogue: Path


def provide(home: Home, urn: str, file: Path, written_format: str | None) -> Provided:
    """Note `file` as the disk of `urn`; without a version it is that of the one to be brought, or the latest.

    Raises NotFoundError for an unknown image or file, DiskFormatError for a file that is no disk or not
    the written format, UsageError for a format that the entry does not take, InUseError while another
    command notes something.
    """
    entry, version = _entry(home, urn)
    path = file.expanduser().absolute()
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", hint="Name the disk image you downloaded.")
    chosen = _format(path, written_format, entry)
    digest = _sha256(path, home)
    own = own_file(home)
    lock = FileLock(own.with_name(f".{own.name}.lock"))
    if not lock.try_acquire(by="marketplace provide"):
        raise InUseError(f"{own} is being changed by another command.", hint="Try again.")
    try:
        _note(own, entry, version, {"kind": "file", "path": str(path), "format": chosen, "sha256": digest})
    finally:
        lock.release()
    return Provided(f"{entry.image.urn}:{version}", path, chosen, digest, path.stat().st_size, own)


def _entry(home: Home, urn: str) -> tuple[CatalogueEntry, str]:
    parts = urn.split(":")
    if len(parts) not in (3, 4) or not all(parts):
        raise UsageError(
            f"'{urn}' is not the name of a marketplace image.",
            hint="Write publisher:offer:sku, for example RedHat:RHEL:8-gen2.",
        )
    catalogue = load_catalogue(home)
    entry = catalogue.lookup(*parts[:3])
    if len(parts) == 4 and parts[3].casefold() != "latest":
        return entry, parts[3]
    return entry, entry.version


def _format(path: Path, written: str | None, entry: CatalogueEntry) -> str:
    """What the file is by its content; what is written has to fit. Raises DiskFormatError, UsageError."""
    from builder.disk.formats import check_whole, detect

    known = get_args(FileFormat)
    if written is not None and written not in known:
        raise UsageError(f"--format {written}: choose {', '.join(known[:-1])} or {known[-1]}.")
    found = detect(path, written)
    check_whole(path, found.parts)
    chosen = found.format
    recipe = entry.recipe
    if isinstance(recipe, ProvideRecipe) and chosen not in recipe.formats:
        raise UsageError(
            f"{entry.urn} is to be brought as {', '.join(recipe.formats)}, not as {chosen}.",
            hint=f"Bring {recipe.supply}.",
        )
    return chosen


def _sha256(path: Path, home: Home) -> str:
    """Read once: the first build takes the digest from what is remembered of the file."""
    from builder.disk.known_files import KnownFiles, settled

    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if settled(path):
        home.known_sums.parent.mkdir(parents=True, exist_ok=True)
        KnownFiles(home.known_sums).note(path, digest)
    return digest


def _note(own: Path, entry: CatalogueEntry, version: str, recipe: dict[str, str]) -> None:
    from builder.sources.catalogue.shelf import write_whole

    data: dict[str, Any] = {"format": FORMAT, "images": []}
    if own.exists():
        text = own.read_text(encoding="utf-8")
        parse_catalogue(text, str(own))  # what is broken is told, not overwritten
        data = json.loads(text)
    image = _image_in(data.setdefault("images", []), entry)
    versions: dict[str, Any] = image["versions"]
    number = next((known for known in versions if known.casefold() == version.casefold()), version)
    versions[number] = recipe
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    parse_catalogue(text, str(own))
    write_whole(own, text.encode())


def _image_in(images: list[dict[str, Any]], entry: CatalogueEntry) -> dict[str, Any]:
    """The image's entry in the user's own file; a new one says only its name: the rest stands below."""
    wanted = entry.image.key
    for image in images:
        if tuple(image[part].casefold() for part in ("publisher", "offer", "sku")) == wanted:
            return image
    known = entry.image
    made = {"publisher": known.publisher, "offer": known.offer, "sku": known.sku, "versions": {}}
    images.append(made)
    return made
