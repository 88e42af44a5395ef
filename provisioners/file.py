"""File: put one file into the guest, as the build user (aib-behaviour, section 4)."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from typing import ClassVar

from provisioners.base import BadStepError, FrozenContent, StepContext, StepError
from provisioners.environment import powershell_quote
from provisioners.guest import Guest, GuestError, GuestTimeoutError
from provisioners.powershell_text import command as powershell_command
from provisioners.step_run import StepRun
from templates.model import FileStep

_NO_DIRECTORY, _IS_DIRECTORY, _DENIED = 11, 12, 13

_LOOK = f"""
dir=$1
[ -d "$dir" ] || exit {_NO_DIRECTORY}
[ -d "$2" ] && exit {_IS_DIRECTORY}
if [ -e "$2" ]; then [ -w "$2" ] || exit {_DENIED}; exit 0; fi
[ -w "$dir" ] && [ -x "$dir" ] || exit {_DENIED}
"""
# Of Linux or of Windows, with a file's name at its end.
_FULL_PATH = re.compile(r"(/|[A-Za-z]:[/\\])(.*[^/\\])", re.DOTALL)
_SUM = """
if command -v sha256sum >/dev/null 2>&1; then sha256sum < "$1" && exit 0; fi
wc -c < "$1"
"""


class FileProvisioner:
    """Uploads `sourceUri`'s bytes to `destination`, a full path with the file's name."""

    epoch: ClassVar[int] = 1

    def __init__(self, step: FileStep, content: FrozenContent | None) -> None:
        if content is None:
            raise BadStepError("A File step needs sourceUri.")
        self._destination = step.destination or ""
        if not _FULL_PATH.fullmatch(self._destination):  # on neither system, whatever the guest's is
            raise _no_full_path(self._destination, BadStepError)
        self._content = content

    def inputs(self) -> Mapping[str, str]:
        """The bytes and where they go."""
        return {"source": self._content.sha256, "destination": self._destination}

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Upload and verify. Raises StepError naming what is in the way."""
        step = StepRun(guest, context)
        step.begin()
        windows = guest.os_type == "Windows"
        path = self._destination.replace("\\", "/") if windows else self._destination
        self._require_full_path(path, windows=windows)
        self._require_place(step, path, windows=windows)
        try:
            step.put(self._content.data, path, mode=0o644)
        except GuestTimeoutError:
            raise
        except GuestError as error:
            raise self._denied(step, error.message) from error
        self._verify(step, path, windows=windows)

    def _require_full_path(self, path: str, *, windows: bool) -> None:
        absolute = path[1:3] == ":/" if windows else path.startswith("/")
        if not absolute:
            raise _no_full_path(self._destination, StepError)

    def _require_place(self, step: StepRun, path: str, *, windows: bool) -> None:
        directory = posixpath.dirname(path)
        if windows:
            text = (
                f"if (-not (Test-Path -LiteralPath {powershell_quote(directory)} -PathType Container)) "
                f"{{ exit {_NO_DIRECTORY} }}\n"
                f"if (Test-Path -LiteralPath {powershell_quote(path)} -PathType Container) "
                f"{{ exit {_IS_DIRECTORY} }}\nexit 0\n"
            )
            code = step.look(powershell_command(text)).exit_code
        else:
            code = step.look(["sh", "-c", _LOOK, "sh", directory, path]).exit_code
        if code == _NO_DIRECTORY:
            raise StepError(
                f"The directory {directory} does not exist in the guest.",
                hint="A File step creates none: make it with a Shell step before this one.",
            )
        if code == _IS_DIRECTORY:
            raise StepError(
                f"The destination {path} is a directory.",
                hint="Give the full path, the file's name included.",
            )
        if code == _DENIED:
            raise self._denied(step, f"permission denied: {path}")

    def _denied(self, step: StepRun, reason: str) -> StepError:
        return StepError(
            f"The build user '{step.guest.user}' cannot write {self._destination}.",
            details=(reason,),
            hint="Files are uploaded as the build user: put it under /tmp, then 'sudo cp' it in a Shell step "
            "(AIB's own rule).",
        )

    def _verify(self, step: StepRun, path: str, *, windows: bool) -> None:
        """Compare what arrived: sha256 where the guest can tell it, else the size."""
        if windows:
            text = f"(Get-FileHash -Algorithm SHA256 -LiteralPath {powershell_quote(path)}).Hash\n"
            answer = step.look(powershell_command(text)).stdout.strip().lower()
        else:
            result = step.look(["sh", "-c", _SUM, "sh", path])
            answer = (result.stdout.split() or [""])[0].lower()
        data = self._content.data
        if answer not in {hashlib.sha256(data).hexdigest(), str(len(data))}:
            raise StepError(
                f"The file {path} did not arrive whole.",
                details=(f"sent {len(data)} bytes, sha256 {self._content.sha256}; the guest has {answer!r}",),
                hint="Is the guest's disk full? vmProfile.osDiskSizeGB makes it larger.",
            )


def _no_full_path(destination: str, error: type[StepError]) -> StepError:
    return error(
        f"The destination '{destination}' is not a full path with a file name.",
        hint="AIB wants both, for example /tmp/index.html.",
    )
