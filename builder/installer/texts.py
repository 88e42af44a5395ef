"""The texts an installer gets, kept beside the code: Jinja2 templates and scripts, a folder for each kind."""

from __future__ import annotations

import hashlib
import shlex
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "builder.installer"


class Texts:
    """The texts of one folder of this package."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, name: str) -> str:
        """A file as it is."""
        return str(self._place.joinpath(name).read_text(encoding="utf-8"))

    def render(self, name: str, facts: dict[str, object]) -> str:
        """A template with `facts`; one that it lacks is an error. `quoted` quotes for a shell."""
        return self._environment.get_template(name).render(facts)

    def add_to(self, digest: hashlib._Hash) -> None:
        """All of them, by name: whoever changes one changes what is installed."""
        for name in sorted(item.name for item in self._place.iterdir() if item.is_file()):
            digest.update(f"\0{name}\0{self.read(name)}".encode())

    @property
    def _place(self) -> Any:  # noqa: ANN401 - Traversable, whose place in the library moves
        return resources.files(_PACKAGE).joinpath(self._folder)

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import PackageLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            loader=PackageLoader(_PACKAGE, self._folder),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["quoted"] = shlex.quote
        return environment
