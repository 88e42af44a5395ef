"""Reading catalogue files: which there are, in which order, and what is wrong with one, at its place.

Order, the later over the earlier: the built-in one, the team catalogues by name, the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from builder.errors import UsageError
from builder.settings import Home
from builder.sources.catalogue.catalogue import Catalogue
from builder.sources.catalogue.model import FORMAT, CatalogueFile, CatalogueImage, DownloadRecipe, FileRecipe
from builder.sources.catalogue.words import BUILT_IN

OWN = "yours"
OWN_NAME = "catalogue.json"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_TOLD = 10


def load_catalogue(home: Home) -> Catalogue:
    """All catalogues of a home, laid over each other. Raises UsageError naming the file that is wrong."""
    catalogue = Catalogue()
    for origin, images in _layers(home):
        catalogue.lay(origin, images)
    return catalogue


def own_file(home: Home) -> Path:
    """The user's own catalogue, which lies over all others."""
    return home.root / OWN_NAME


def read_built_in() -> tuple[CatalogueImage, ...]:
    """The images every Goldsmith knows."""
    text = resources.files("builder.sources.catalogue").joinpath("builtin.json").read_text(encoding="utf-8")
    return parse_catalogue(text, "the built-in catalogue").images


def read_file(file: Path, *, anchor: Path | None, hint: str = "") -> tuple[CatalogueImage, ...]:
    """The images of a catalogue file; relative paths start at `anchor`. Raises UsageError.

    Without an anchor (a catalogue from the network) relative paths are refused.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The catalogue {file} cannot be read: {error}.", hint=hint or None) from error
    return anchored(parse_catalogue(text, str(file), hint=hint).images, anchor, str(file))


def parse_catalogue(text: str, name: str, *, hint: str = "") -> CatalogueFile:
    """A catalogue out of its text. Raises UsageError with every problem at its line and column."""
    from templates.diagnostics import TemplateError
    from templates.json_reader import parse_json

    advice = hint or "docs/catalogue.md describes the form; 'build marketplace schema' prints it for editors."
    try:
        document = parse_json(text, name, strict=True)
    except TemplateError as error:
        raise _broken(name, error.diagnostics, advice) from error
    errors = [problem for problem in document.diagnostics if problem.severity == "error"]
    if errors:
        raise _broken(name, errors, advice)
    hidden = [f"{document.locate(at)}: {at}" for at in _control_characters(document.value)]
    if hidden:
        raise UsageError(f"{name} holds control characters.", details=tuple(hidden[:_TOLD]), hint=advice)
    _check_format(document.value, name)
    try:
        return CatalogueFile.model_validate(document.value)
    except ValidationError as error:
        raise UsageError(
            f"{name} is not a catalogue.", details=tuple(_located(error, document)), hint=advice
        ) from error


def anchored(images: Sequence[CatalogueImage], folder: Path | None, name: str) -> tuple[CatalogueImage, ...]:
    """The images with absolute paths. Raises UsageError for a relative one that starts nowhere, and for a
    file that a catalogue from the network names without its sha256: the image of whoever wrote it would get
    any disk of this machine. Who can say the checksum has the file already.
    """
    return tuple(_anchored(image, folder, name) for image in images)


def _layers(home: Home) -> Iterator[tuple[str, Sequence[CatalogueImage]]]:
    yield BUILT_IN, read_built_in()
    if (home.root / "catalogues").is_dir():
        from builder.sources.catalogue.shelf import Shelf

        yield from Shelf(home).layers()
    own = own_file(home)
    if own.exists():
        yield OWN, read_file(own, anchor=own.parent)


def _check_format(value: Any, name: str) -> None:  # noqa: ANN401 - any JSON value
    found = value.get("format") if isinstance(value, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise UsageError(
            f"{name} is written in format {found} of catalogues; this Goldsmith reads format {FORMAT}.",
            hint="Use a newer Goldsmith.",
        )


def _broken(name: str, problems: Sequence[Any], hint: str) -> UsageError:
    first, *others = [f"{problem.location}: {problem.message}" for problem in problems]
    return UsageError(f"{first}.", details=tuple(others), hint=hint)


def _located(error: ValidationError, document: Any) -> Iterator[str]:  # noqa: ANN401 - a JsonDocument
    problems = error.errors()
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        below = len(problem["loc"])
        if problem["type"] == "too_short" and any(
            len(place) > below and place[:below] == problem["loc"] for place in places
        ):
            continue  # what is missing is what is wrong below
        pointer = _pointer(document.value, problem["loc"])
        name = problem["loc"][-1] if problem["loc"] else ""
        place = document.locate(pointer)
        message = str(problem["msg"]).removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            place, message = document.locate_key(pointer), f"there is no field '{name}' here"
        elif problem["type"] == "missing":
            message = f"'{name}' is missing"
        yield f"{place}: {pointer or '/'}: {message}"


def _pointer(value: Any, loc: Sequence[str | int]) -> str:  # noqa: ANN401 - any JSON value
    """Where pydantic's `loc` is in the file: it also names kinds of recipes, and lists that are not there."""
    from templates.pointers import join

    pointer = ""
    for part in loc:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            value, pointer = value[part], join(pointer, part)
    return pointer


def _control_characters(value: Any, pointer: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Where texts have what a terminal would obey, or what no path can have."""
    from templates.pointers import join

    if isinstance(value, str) and _CONTROL.search(value):
        yield pointer
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if _CONTROL.search(str(key)):
            yield pointer
        yield from _control_characters(item, join(pointer, key))


def _anchored(image: CatalogueImage, folder: Path | None, name: str) -> CatalogueImage:
    versions = {
        number: tuple(_placed(recipe, folder, f"{name}: {image.urn}:{number}") for recipe in recipes)
        for number, recipes in image.versions.items()
    }
    return image.model_copy(update={"versions": versions})


def _placed(recipe: Any, folder: Path | None, what: str) -> Any:  # noqa: ANN401 - a recipe of any kind
    if isinstance(recipe, DownloadRecipe) and recipe.sums and "/" in (recipe.sums.keyring or ""):
        keyring = str(_full(Path(str(recipe.sums.keyring)), folder, what))
        return recipe.model_copy(update={"sums": recipe.sums.model_copy(update={"keyring": keyring})})
    if not isinstance(recipe, FileRecipe):
        return recipe
    path = _full(recipe.path, folder, what)
    if folder is None and not recipe.sha256:
        raise UsageError(
            f"{what} comes from the network and names a file of this machine, {recipe.path}, without sha256.",
            hint="Its author has to give the sha256, or an address (kind 'download').",
        )
    return recipe.model_copy(update={"path": path})


def _full(path: Path, folder: Path | None, what: str) -> Path:
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise UsageError(f"{what} names the path {path}: there is no such user.") from error
    if folder is None and not path.is_absolute():
        raise UsageError(
            f"{what} names the relative path {path}, and a catalogue from the network has no folder.",
            hint="Its author has to give a full path, or an address (kind 'download').",
        )
    return (folder or path) / path
