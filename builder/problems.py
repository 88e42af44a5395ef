"""Everything that is wrong with a template, collected so that it is said at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from builder.errors import EnvironmentProblem, ExitCode, GoldsmithError, InUseError
from templates.diagnostics import Diagnostic, TemplateError

if TYPE_CHECKING:
    from templates import Document

T = TypeVar("T")


class Problems:
    """Collects what is wrong at its place in the template.

    `forgiving`: somebody only asks what a build would do. What this machine lacks today, or another
    build holds, is a remark to them and no mistake of the template.
    """

    def __init__(self, document: Document, prefix: str, *, forgiving: bool = False) -> None:
        self._document = document
        self._prefix = prefix
        self._forgiving = forgiving
        self._of_this_machine: list[EnvironmentProblem] = []
        self.found: list[Diagnostic] = []
        self.remarks: list[GoldsmithError] = []

    def catch(self, pointer: str, action: Callable[[], T]) -> T | None:
        """`action()`, or None after noting why it could not be done. `pointer` is within the template."""
        return self.catch_at(self._prefix + pointer, action)

    def catch_at(self, pointer: str, action: Callable[[], T]) -> T | None:
        """The same with a pointer from the root of the document. Cancellation and timeouts go on."""
        try:
            return action()
        except TemplateError as error:
            self.found.extend(error.diagnostics)
        except GoldsmithError as error:
            if isinstance(error, EnvironmentProblem):
                self._of_this_machine.append(error)
            elif error.exit_code != ExitCode.BAD_TEMPLATE:
                raise
            text = "\n".join([error.message, *(f"    {line}" for line in error.details)])
            self.found.append(
                Diagnostic("error", error.code, text, self._document.locate(pointer), error.hint)
            )
        return None

    def check(self, pointer: str, action: Callable[[], T]) -> T | None:
        """`catch` for what the rest can do without; forgiven where that is asked for."""
        return self.catch(pointer, partial(self._forgive, action))

    def require(self, action: Callable[[], None]) -> None:
        """What a build cannot even begin without: raised at once; forgiven where that is asked for."""
        self._forgive(action)

    def raise_if_any(self) -> None:
        """Raises TemplateError; EnvironmentProblem when all there is against it is this machine."""
        errors = [one for one in self.found if one.severity == "error"]
        if errors and len(errors) == len(self._of_this_machine):
            first, *others = self._of_this_machine
            first.details = (*first.details, *(one.message for one in others))
            raise first
        if errors:
            raise TemplateError(self.found)

    def _forgive(self, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except (EnvironmentProblem, InUseError) as error:
            if not self._forgiving:
                raise
            self.remarks.append(error)
            return None
