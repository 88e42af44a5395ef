"""Finding images: filters that must hold, and words that rank. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.sources.catalogue.catalogue import Catalogue
from builder.sources.catalogue.model import CatalogueImage

_EXACT, _BEGINNING, _INSIDE, _DESCRIBED = 8, 4, 2, 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What an image has to be; empty means any. Compared without case."""

    publisher: str = ""
    offer: str = ""
    os_type: str = ""
    generation: str = ""
    architecture: str = ""

    def allow(self, image: CatalogueImage) -> bool:
        """Whether the image is what is asked for."""
        pairs = (
            (self.publisher, image.publisher),
            (self.offer, image.offer),
            (self.os_type, image.os_type),
            (self.generation, image.generation),
            (self.architecture, image.architecture),
        )
        return all(not wanted or wanted.casefold() == found.casefold() for wanted, found in pairs)


def find(catalogue: Catalogue, filters: Filters, words: Sequence[str] = ()) -> list[CatalogueImage]:
    """The images that pass the filters and match every word, the best match first."""
    ranked = [
        (rank, image)
        for image in catalogue.images
        if filters.allow(image) and (rank := _rank(image, words)) is not None
    ]
    return [image for rank, image in sorted(ranked, key=lambda pair: (-pair[0], pair[1].key))]


def _rank(image: CatalogueImage, words: Sequence[str]) -> int | None:
    """How well the words fit, None when one does not at all. A hit in the name counts more than one in the
    description or an alias, and the more so the more of that name it is.
    """
    names = [part.casefold() for part in (image.publisher, image.offer, image.sku)]
    rest = " ".join((image.description, image.os_type, image.architecture, *image.aliases)).casefold()
    total = 0
    for word in (word.casefold() for word in words):
        hits = [_hit(word, name) for name in names]
        best = max(hits, default=0)
        if not best and word in image.urn.casefold():
            best = _INSIDE
        if not best:
            best = _hit(word, rest, of_words=True)
        if not best:
            return None
        total += best
    return total


def _hit(word: str, text: str, *, of_words: bool = False) -> int:
    if of_words:
        return _DESCRIBED if word in text else 0
    if word == text:
        return _EXACT
    if text.startswith(word):
        return _BEGINNING
    return _INSIDE if word in text else 0
