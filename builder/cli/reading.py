"""Reading templates the way every verb does: variables, parameters, strictness."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import UsageError
from builder.settings import Home, Settings, load_settings

if TYPE_CHECKING:
    from templates import Document
    from templates.arm.scope import DeploymentScope

# Of a Jinja2 variable, of a parameter (`api-version`), of a placeholder (`<SIG name>`).
_NAME = re.compile(r"[A-Za-z_][\w .-]*")


@dataclass(frozen=True)
class Reading:
    """What is given for every file of a command: how it is to be read."""

    settings: Settings
    variables: Mapping[str, str]
    parameters: Mapping[str, Any] | None
    strict: bool

    @classmethod
    def of(
        cls,
        home: Home,
        var: Sequence[str],
        var_file: Sequence[Path],
        parameters: Path | None,
        *,
        strict: bool,
    ) -> Reading:
        """From the options of a verb. Raises UsageError, TemplateError for a bad parameter file."""
        import templates

        values = variables(var, var_file)
        given = templates.load_parameters(parameters) if parameters else None
        return cls(load_settings(home), values, given, strict)

    @property
    def scope(self) -> DeploymentScope:
        """What subscription() and resourceGroup() mean, by the settings."""
        from templates.arm.scope import DeploymentScope

        settings = self.settings
        return DeploymentScope(settings.subscription_id, settings.resource_group, settings.location)

    def read(self, file: Path) -> Document:
        """Read a file; `-` is standard input. Raises TemplateError, UnreadableFile, UsageError for a name
        that no record could hold.
        """
        import templates

        shown = str(file).encode("utf-8", "backslashreplace").decode()
        if shown != str(file):
            raise UsageError(f"{shown}: the file's name is not UTF-8.", hint="Rename the file or its folder.")

        return templates.read(
            named(file),
            variables=self.variables,
            parameters=self.parameters,
            strict=self.strict,
            defaults=self.scope,
        )


def named(file: Path) -> Path:
    """The file a word of the command line names: `-` is standard input."""
    from templates.files import STDIN

    return STDIN if str(file) == "-" else file


def read_documents(
    files: Sequence[Path],
    *,
    home: Home,
    var: Sequence[str],
    var_file: Sequence[Path],
    parameters: Path | None,
    strict: bool,
) -> list[Document]:
    """Read all files before anything is built. Raises TemplateError, UsageError."""
    reading = Reading.of(home, var, var_file, parameters, strict=strict)
    return [reading.read(file) for file in files]


def variables(var: Sequence[str], var_file: Sequence[Path]) -> dict[str, str]:
    """`--var-file` files in order, then `--var K=V`, later ones winning. Raises UsageError."""
    values: dict[str, str] = {}
    for file in var_file:
        values.update(_variables_of(file))
    for item in var:
        name, separator, value = item.partition("=")
        if not separator or not _NAME.fullmatch(name):
            raise UsageError(
                f"--var {item}: expected NAME=VALUE.", hint="For example: --var region=westeurope"
            )
        values[name] = value
    return values


def _variables_of(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--var-file {file}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--var-file {file}: not JSON: {error}.") from error
    if not isinstance(data, dict) or not all(isinstance(v, str | int | float) for v in data.values()):
        raise UsageError(f"--var-file {file}: expected an object of names and plain values.")
    return {str(name): str(value) for name, value in data.items()}
