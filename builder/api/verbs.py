"""What the verbs of the API stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.api.goldsmith import Goldsmith


class Verbs:
    """A group of verbs."""

    def __init__(self, goldsmith: Goldsmith) -> None:
        self._goldsmith = goldsmith
        self._registry = goldsmith.registry
