"""The catalogues of a machine laid over each other, and the lookup of one exact version in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from builder.errors import NotFoundError
from builder.sources.catalogue.model import (
    BootstrapRecipe,
    CatalogueImage,
    DownloadRecipe,
    FileRecipe,
    Key,
    ProvideRecipe,
    Recipe,
    key_of,
)

LATEST = "latest"
_LISTED = 12
# Spelled as in the layer below; the versions are merged one by one.
_NAMES = {"publisher", "offer", "sku", "versions"}


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One exact version: the image, its version number, its recipes (the first is the default), the one
    that was chosen, and the catalogue it comes from.
    """

    image: CatalogueImage
    version: str
    recipes: tuple[Recipe, ...]
    recipe: BootstrapRecipe | DownloadRecipe | FileRecipe | ProvideRecipe
    origin: str

    @property
    def urn(self) -> str:
        """publisher:offer:sku:version."""
        return f"{self.image.urn}:{self.version}"


@dataclass(slots=True)
class _Shelved:
    """An image as it became, layer by layer, and who brought each version."""

    image: CatalogueImage
    origins: dict[str, str] = field(default_factory=dict)

    def take(self, upper: CatalogueImage) -> list[str]:
        """Lay `upper` over it; returns its versions, spelled as they are here."""
        same = {number.casefold(): number for number in self.image.versions}
        taken = {same.get(number.casefold(), number): recipes for number, recipes in upper.versions.items()}
        said = {name: getattr(upper, name) for name in upper.model_fields_set - _NAMES}
        versions = {**self.image.versions, **taken}
        self.image = self.image.model_copy(update={**said, "versions": versions})
        return list(taken)


class Catalogue:
    """All images this machine can start from."""

    def __init__(self) -> None:
        self._images: dict[Key, _Shelved] = {}
        self._aliases: dict[Key, Key] = {}

    def lay(self, origin: str, images: Iterable[CatalogueImage]) -> list[str]:
        """Lay a catalogue over those before it: its versions win, and what it says of an image; what it
        does not say stays. Returns the urns it replaced: with a version, with `latest` when another version
        is that now, and names that led to another image before.
        """
        replaced: list[str] = []
        for image in images:
            known = self._images.get(image.key)
            if known is None:
                if self._aliases.get(image.key, image.key) != image.key:
                    replaced.append(image.urn)
                known = self._images[image.key] = _Shelved(image)
                numbers = list(image.versions)
            else:
                latest = sorted_versions(known.image)[0]
                numbers = known.take(image)
                replaced += [f"{known.image.urn}:{number}" for number in numbers if number in known.origins]
                if sorted_versions(known.image)[0] != latest:
                    replaced.append(f"{known.image.urn}:{LATEST}")
            known.origins.update(dict.fromkeys(numbers, origin))
            for alias in image.aliases:
                name = key_of(*alias.split(":"))
                if self._aliases.get(name, image.key) != image.key and name not in self._images:
                    replaced.append(alias)
                self._aliases[name] = image.key
        return replaced

    @property
    def images(self) -> list[CatalogueImage]:
        """All images, sorted by name."""
        return [self._images[key].image for key in sorted(self._images)]

    def entries(self, image: CatalogueImage) -> list[CatalogueEntry]:
        """Every version of an image, the latest first."""
        return [self._entry(image, number) for number in sorted_versions(image)]

    def lookup(
        self, publisher: str, offer: str, sku: str, version: str = LATEST, *, prefer: str = ""
    ) -> CatalogueEntry:
        """The exact version of an image; `latest` is the highest. Raises NotFoundError.

        `prefer` is a kind of recipe, taken when the version has one of that kind.
        """
        key = key_of(publisher, offer, sku)
        found = self._images.get(key) or self._images.get(self._aliases.get(key, key))
        if found is None:
            raise self._unknown(f"{publisher}:{offer}:{sku}")
        image = found.image
        numbers = sorted_versions(image)
        if version.casefold() == LATEST:
            return self._entry(image, numbers[0], prefer)
        for number in numbers:
            if number.casefold() == version.casefold():
                return self._entry(image, number, prefer)
        raise NotFoundError(
            f"The marketplace image {image.urn} has no version '{version}'.",
            details=(f"Versions here: {', '.join(numbers)}",),
            hint='Use "version": "latest", or add the version to a catalogue of yours (docs/catalogue.md).',
        )

    def _entry(self, image: CatalogueImage, number: str, prefer: str = "") -> CatalogueEntry:
        recipes = image.versions[number]
        recipe = next((one for one in recipes if one.kind == prefer), recipes[0])
        origin = self._images[image.key].origins[number]
        return CatalogueEntry(image, number, recipes, recipe, origin)

    def _unknown(self, urn: str) -> NotFoundError:
        names = {image.urn.casefold(): image.urn for image in self.images}
        close = difflib.get_close_matches(urn.casefold(), names, n=3, cutoff=0.5)
        publisher = urn.partition(":")[0].casefold() + ":"
        same = [name for key, name in names.items() if key.startswith(publisher)]
        details: tuple[str, ...] = ()
        if close:
            details = (f"Did you mean {' or '.join(names[name] for name in close)}?",)
        elif same:
            details = (f"Of this publisher: {_some(same)}",)
        else:
            publishers = sorted({image.publisher for image in self.images}, key=str.casefold)
            details = (f"Publishers here: {_some(publishers)}",)
        return NotFoundError(
            f"There is no marketplace image {urn} on this machine.",
            details=details,
            hint="'build marketplace list' shows all; add your own to catalogue.json in the Goldsmith home.",
        )


def sorted_versions(image: CatalogueImage) -> list[str]:
    """The versions of an image, the latest first."""
    return sorted(image.versions, key=_version_order, reverse=True)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers by value (without leading zeros the longer one is higher), anything else by name and below
    any number.
    """
    return tuple(
        (1, len(number := part.lstrip("0")), number) if part.isascii() and part.isdigit() else (0, 0, part)
        for part in re.split(r"[.\-_]", version)
    )
