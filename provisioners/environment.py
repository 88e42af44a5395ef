"""The variables a script sees, and how they travel: by stdin or a file, never on a command line.

A command line can be read by everybody in the guest (`ps`), and sudo writes it to its log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from provisioners.base import StepContext, StepError
from templates.model import Step

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def variables(context: StepContext) -> dict[str, str]:
    """Packer's two, the step's `env` and its secrets. Raises StepError for an impossible name or value."""
    found = {
        "PACKER_BUILD_NAME": context.build_name,
        "PACKER_BUILDER_TYPE": context.builder_type,
        **context.env,
        **context.secrets,
    }
    for name, value in found.items():
        if not _NAME.fullmatch(name):
            raise StepError(
                f"'{name}' cannot be the name of an environment variable.",
                hint="Use letters, digits and _ only, and no digit first.",
            )
        if "\0" in value:
            raise StepError(f"The value of {name} contains a NUL character; no process can be given that.")
    return found


def inputs_of(step: Step) -> dict[str, str]:
    """What of a step's `x-goldsmith` decides its outcome: env with values, secrets by name only."""
    found = {f"env.{name}": value for name, value in step.extensions.env.items()}
    if step.extensions.secrets:
        found["secrets"] = ",".join(sorted(step.extensions.secrets))
    return found


def posix_exports(values: Mapping[str, str]) -> str:
    """Shell text that exports `values`; newlines and quotes survive."""
    return "".join(f"export {name}={posix_quote(value)}\n" for name, value in values.items())


def posix_quote(text: str) -> str:
    """`text` in single quotes for a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def powershell_assignments(values: Mapping[str, str]) -> str:
    """PowerShell text that sets `values` as environment variables."""
    return "".join(
        f"[Environment]::SetEnvironmentVariable({powershell_quote(name)}, {powershell_quote(value)})\n"
        for name, value in values.items()
    )


def powershell_quote(text: str) -> str:
    """`text` in single quotes for PowerShell, which also takes the typographic ones for quotes."""
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"
