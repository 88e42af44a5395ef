"""Azure's rules for galleries, definitions and versions, with Azure's messages. Pure.

Sources: aib-behaviour section 7 (versioning) and 8 (names, limits, messages) of the references.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from builder.errors import ConflictError, PreflightError
from templates.gallery_rules import parse_date, problems
from templates.model.distribute import LatestVersioning, SourceVersioning
from templates.model.gallery import ImageDefinition

Number = tuple[int, int, int]
Versioning = LatestVersioning | SourceVersioning
INT32_MAX = 2**31 - 1

_GALLERY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.]{0,78}[A-Za-z0-9])?")
_DEFINITION = re.compile(r"[^_\W][\w\-.]{0,79}(?<![-.])", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9]([\w\-.]{0,78}\w)?", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9\-_.]+(?<!\.)")
_VERSION = re.compile(r"(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})", re.ASCII)
_LEADING_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[.\-+].*)?", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 \-]{0,62}")
_IDENTIFIER_LIMITS = {"publisher": 128, "offer": 64, "sku": 64}


class BadNameError(PreflightError):
    """A name that Azure would refuse."""

    code = "InvalidName"


class BadValueError(PreflightError):
    """A property that Azure would refuse."""

    code = "InvalidParameter"


def check_gallery_name(name: str) -> None:
    """Raises BadNameError with Azure's message."""
    if not _GALLERY.fullmatch(name):
        raise BadNameError(
            "Gallery name is invalid. Allowed characters are English alphanumeric characters, with "
            "underscores, and periods allowed in the middle, up to 80 characters total. All other special "
            "characters, including dashes, are disallowed.",
            details=(f"gallery: {name}",),
            hint=f"Perhaps '{_suggest_gallery(name)}'?" if _suggest_gallery(name) else None,
        )


def check_image_name(name: str) -> None:
    """Raises BadNameError for what cannot be the name of a managed image: Azure's naming rules for
    Microsoft.Compute/images.
    """
    if not _IMAGE.fullmatch(name):
        raise BadNameError(
            f"The managed image name '{name}' is invalid. Allowed are letters, digits, underscores, periods "
            "and dashes, up to 80 characters; it starts with a letter or digit and ends with a letter, digit "
            "or underscore."
        )


def check_definition_name(name: str) -> None:
    """Raises BadNameError: letters, digits, underscores, dashes and periods, at most 80."""
    if not _DEFINITION.fullmatch(name):
        raise BadNameError(
            f"The image definition name '{name}' is invalid. Allowed are letters, digits, underscores, "
            "periods and dashes, up to 80 characters; it starts with a letter or digit and does not end "
            "with a period or dash."
        )


def check_identifier(publisher: str, offer: str, sku: str) -> None:
    """Raises BadNameError when a part of the triple has other characters, is too long or ends in a period."""
    for part, value in (("publisher", publisher), ("offer", offer), ("sku", sku)):
        limit = _IDENTIFIER_LIMITS[part]
        if len(value) > limit or not _IDENTIFIER.fullmatch(value):
            raise BadNameError(
                f"The {part} '{value}' of the image definition is invalid. Allowed are letters, digits, "
                f"dashes, underscores and periods, up to {limit} characters, not ending with a period."
            )


def check_definition(definition: ImageDefinition) -> None:
    """Raises BadValueError with everything that is wrong with a definition's properties."""
    found = [(".".join(map(str, one.at)), one.message, one.hint) for one in problems(definition)]
    if found:
        place, message, hint = found[0]
        raise BadValueError(
            f"properties.{place}: {message}.",
            details=tuple(f"properties.{place}: {message}" for place, message, _ in found[1:]),
            hint=hint,
        )


def check_end_of_life(date: str | None, now: datetime) -> None:
    """Raises BadValueError for a date that is none, or is not in the future (aib-behaviour section 8)."""
    if date is None:
        return
    when = parse_date(date)
    if when is None:
        raise BadValueError(
            f"endOfLifeDate '{date}' is no date.", hint="Write it as 2027-12-31 or 2027-12-31T00:00:00Z."
        )
    if when <= now:
        raise BadValueError(
            f"endOfLifeDate must be a future date; {date} is not.",
            details=(f"now: {now:%Y-%m-%dT%H:%M:%SZ}",),
        )


def check_region(name: str) -> str:
    """The region as it is; raises BadNameError when it cannot be the name of a place (or of a folder)."""
    if not _REGION.fullmatch(name):
        raise BadNameError(f"'{name}' is not a region name; letters, digits, spaces and dashes are allowed.")
    return name


def parse_version(name: str) -> Number:
    """`1.2.3` as numbers. Raises BadNameError with Azure's message when it is no Major.Minor.Patch."""
    match = _VERSION.fullmatch(name)
    numbers = tuple(int(part) for part in match.groups()) if match else ()
    if len(numbers) != 3 or max(numbers) > INT32_MAX:
        raise BadNameError(
            "The image version name is invalid. The image version name should follow "
            "Major(int).Minor(int).Patch(int) format, for e.g: 1.0.0, 2018.12.1 etc",
            details=(f"version: {name}",),
        )
    return numbers


def format_version(number: Sequence[int]) -> str:
    """Numbers as `1.2.3`."""
    return ".".join(str(part) for part in number)


def next_version(
    existing: Iterable[Number], versioning: Versioning | None, source_version: str | None = None
) -> Number:
    """The number a build gets when its template names none.

    `Latest`, also when no scheme is given (it is AIB's default): the highest major.minor there is,
    within `major` when that is set, and one patch above its highest patch. A line without any
    version counts as if it had x.0.0, so the first versions are 0.0.1 or, with `major` 2, 2.0.1.

    `Source`: Microsoft publishes no algorithm; ours: the source's own x.y.z while nothing under
    x.y reaches z, else one patch above the highest under x.y. The source is a gallery version
    or the exact version of a platform image (its first three numbers).

    Every existing number counts, excluded from latest or still being made: none is given twice.
    Raises PreflightError when there is no such source version or the numbers have run out.
    """
    taken = sorted(existing)
    if isinstance(versioning, SourceVersioning):
        major, minor, patch = source_number(source_version)
        patches = [n[2] for n in taken if n[:2] == (major, minor)]
        return _bounded((major, minor, max([patch, *(p + 1 for p in patches[-1:])])))
    wanted = versioning.major if versioning is not None else -1
    line = [n for n in taken if wanted in (-1, n[0])]
    if not line:
        return _bounded((max(wanted, 0), 0, 1))
    major, minor, patch = line[-1]
    return _bounded((major, minor, patch + 1))


def source_number(source_version: str | None) -> Number:
    """The numbers of a source's version. Raises PreflightError when it has none."""
    match = _LEADING_NUMBERS.fullmatch(source_version or "")
    if match is None:
        raise PreflightError(
            "versioning.scheme is Source, but the source has no Major.Minor.Patch version"
            + (f" ('{source_version}')." if source_version else "."),
            hint="Use versioning.scheme Latest, or name the version in galleryImageId (.../versions/1.0.0).",
        )
    major, minor, patch = (int(part) for part in match.groups())
    return _bounded((major, minor, patch))


def _bounded(number: Number) -> Number:
    if max(number) > INT32_MAX:
        raise ConflictError(
            f"The next version would be {format_version(number)}, beyond what a 32-bit number holds.",
            hint="Name a version yourself, or set versioning.major to a new line.",
        )
    return number


def _suggest_gallery(name: str) -> str:
    guess = re.sub(r"[^A-Za-z0-9_.]", "_", name)[:80].strip("_.")
    return guess if guess != name else ""
