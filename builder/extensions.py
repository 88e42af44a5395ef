"""Finding sources and distributors by type name, ours and third parties' alike."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

from builder.errors import PreflightError

if TYPE_CHECKING:
    from builder.distributors.base import Distributor
    from builder.services import Services
    from builder.sources.base import ImageSource

SOURCES = "goldsmith.sources"
DISTRIBUTORS = "goldsmith.distributors"


def make_source(model: Any, services: Services) -> ImageSource:  # noqa: ANN401 - any registered model
    """The source for `model.type`. Raises PreflightError for a type nobody registered."""
    return cast("ImageSource", _load(SOURCES, model.type)(model, services))


def make_distributor(model: Any, services: Services) -> Distributor:  # noqa: ANN401 - any registered model
    """The distributor for `model.type`. Raises PreflightError for a type nobody registered."""
    return cast("Distributor", _load(DISTRIBUTORS, model.type)(model, services))


def _load(group: str, type_name: str) -> Any:  # noqa: ANN401 - a class of unknown type
    found = entry_points(group=group)
    for entry in found:
        if entry.name == type_name:
            return entry.load()
    known = ", ".join(sorted(found.names))
    raise PreflightError(
        f"No part of Goldsmith handles the type '{type_name}'.", details=(f"known: {known}",)
    )
