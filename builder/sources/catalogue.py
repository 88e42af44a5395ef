"""The local marketplace: which recipe makes which publisher/offer/sku/version.

The built-in catalogue.json is data; `$GOLDSMITH_HOME/catalogue.json` has the same form and is laid
over it, version by version. Names are compared without case, as ARM does.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from builder.errors import NotFoundError, UsageError
from builder.settings import Home
from builder.sources.base import Devices, Generation, OsType, usual_devices

LATEST = "latest"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
FileFormat = Literal["raw", "qcow2", "vhd", "vhdx", "vmdk"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class BootstrapRecipe(_Model):
    """A Debian made from packages. `size_mib` is the disk's size, `packages` come on top of ours."""

    kind: Literal["bootstrap"]
    suite: str = Field(pattern=r"^[a-z][a-z0-9.-]*$")
    size_mib: int = Field(default=4096, ge=2048, le=1024 * 1024)
    packages: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.:-]*$")], ...] = ()


class DownloadRecipe(_Model):
    """A disk image behind an http(s) URL, proved by its sha256 (of the file as downloaded)."""

    kind: Literal["download"]
    url: str = Field(pattern=r"^(?i:https?)://")
    sha256: Sha256
    format: FileFormat


class FileRecipe(_Model):
    """A disk image on this machine; a relative path starts at the catalogue's folder."""

    kind: Literal["file"]
    path: Path
    format: FileFormat
    sha256: Sha256 | None = None


Recipe = Annotated[BootstrapRecipe | DownloadRecipe | FileRecipe, Field(discriminator="kind")]


class CatalogueImage(_Model):
    """One publisher/offer/sku with the recipe of every version."""

    publisher: str = Field(min_length=1)
    offer: str = Field(min_length=1)
    sku: str = Field(min_length=1)
    description: str = ""
    os_type: OsType = "Linux"
    generation: Generation = "V1"
    architecture: Literal["x64", "Arm64"] = "x64"
    devices: Devices = Field(default_factory=lambda known: usual_devices(known.get("os_type", "Linux")))
    versions: dict[str, Recipe] = Field(min_length=1)

    @property
    def key(self) -> tuple[str, str, str]:
        """What two names of the same image have in common."""
        return (self.publisher.casefold(), self.offer.casefold(), self.sku.casefold())

    @property
    def urn(self) -> str:
        """publisher:offer:sku, as Azure's own tools print it."""
        return f"{self.publisher}:{self.offer}:{self.sku}"

    @property
    def latest(self) -> str:
        """The highest version."""
        return max(self.versions, key=_version_order)


class _File(_Model):
    format: Literal[1]
    images: tuple[CatalogueImage, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One exact version: the image, its version number and the recipe that makes it."""

    image: CatalogueImage
    version: str
    recipe: BootstrapRecipe | DownloadRecipe | FileRecipe

    @property
    def urn(self) -> str:
        """publisher:offer:sku:version."""
        return f"{self.image.urn}:{self.version}"


class Catalogue:
    """All images this machine can start from."""

    def __init__(self, images: Iterable[CatalogueImage]) -> None:
        self._images: dict[tuple[str, str, str], CatalogueImage] = {}
        for image in images:
            known = self._images.get(image.key)
            if known is not None:
                image = image.model_copy(update={"versions": {**known.versions, **image.versions}})  # noqa: PLW2901
            self._images[image.key] = image

    @property
    def images(self) -> list[CatalogueImage]:
        """All images, sorted by name."""
        return sorted(self._images.values(), key=lambda image: image.key)

    def lookup(self, publisher: str, offer: str, sku: str, version: str = LATEST) -> CatalogueEntry:
        """The exact version of an image; `latest` is the highest. Raises NotFoundError."""
        image = self._images.get((publisher.casefold(), offer.casefold(), sku.casefold()))
        if image is None:
            raise self._unknown(f"{publisher}:{offer}:{sku}")
        if version.casefold() == LATEST:
            return CatalogueEntry(image, image.latest, image.versions[image.latest])
        for number, recipe in image.versions.items():
            if number.casefold() == version.casefold():
                return CatalogueEntry(image, number, recipe)
        known = ", ".join(sorted(image.versions, key=_version_order, reverse=True))
        raise NotFoundError(
            f"The marketplace image {image.urn} has no version '{version}'.",
            details=(f"Versions here: {known}",),
            hint='Use "version": "latest", or add the version to catalogue.json (build marketplace list).',
        )

    def _unknown(self, urn: str) -> NotFoundError:
        names = {image.urn.casefold(): image.urn for image in self.images}
        close = difflib.get_close_matches(urn.casefold(), names, n=3, cutoff=0.5)
        if close:
            details: tuple[str, ...] = (f"Did you mean {' or '.join(names[name] for name in close)}?",)
        else:
            details = (f"Images here: {', '.join(names.values())}",)
        return NotFoundError(
            f"There is no marketplace image {urn} on this machine.",
            details=details,
            hint="'build marketplace list' shows all; add your own to catalogue.json in the Goldsmith home.",
        )


def load_catalogue(home: Home) -> Catalogue:
    """The built-in catalogue with the user's own laid over it. Raises UsageError naming what is wrong."""
    builtin = resources.files("builder.sources").joinpath("catalogue.json").read_text(encoding="utf-8")
    images = list(_parse(builtin, "the built-in catalogue").images)
    own = home.root / "catalogue.json"
    if own.exists():
        try:
            text = own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{own} cannot be read: {error}") from error
        images += [_anchor(image, own.parent) for image in _parse(text, str(own)).images]
    return Catalogue(images)


def _parse(text: str, name: str) -> _File:
    try:
        data: Any = json.loads(text)
        return _File.model_validate(data)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name}:{error.lineno}:{error.colno}: {error.msg}") from error
    except ValidationError as error:
        details = tuple(f"/{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(
            f"{name} is not a catalogue.",
            details=details,
            hint="See 'The catalogue' in docs/reference.md for its form.",
        ) from error


def _anchor(image: CatalogueImage, folder: Path) -> CatalogueImage:
    versions: dict[str, Any] = {
        number: recipe.model_copy(update={"path": folder / recipe.path.expanduser()})
        if isinstance(recipe, FileRecipe)
        else recipe
        for number, recipe in image.versions.items()
    }
    return image.model_copy(update={"versions": versions})


def _version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers by value, anything else by name and below any number."""
    return tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"[.\-_]", version)
    )
