"""Shell: run a script in a Linux guest, as AIB and Packer do (aib-behaviour, section 4)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import ClassVar

from provisioners.base import FrozenContent, StepContext, StepError
from provisioners.environment import inputs_of, posix_exports, variables
from provisioners.guest import Guest
from provisioners.step_run import StepRun
from templates.model import ShellStep

DEFAULT_SHEBANG = "#!/bin/sh -e"

# Arrives on the stdin of `sh -s`, behind the exports, so that neither shows in a process list.
# $1 is the uploaded script, the rest the interpreter its first line names. The braces make the
# shell read it all before it runs anything.
_WRAPPER = """{
script=$1
shift
if ! [ -x "$script" ]; then
  for dir in /var/tmp "$HOME"; do
    copy=$dir/${script##*/}
    if cp "$script" "$copy" 2>/dev/null && chmod 700 "$copy" && [ -x "$copy" ]; then
      echo "goldsmith: ${script%/*} allows no execution (noexec); running the script from $dir" >&2
      rm -f "$script"
      script=$copy
      break
    fi
    rm -f "$copy"
  done
fi
if [ -x "$script" ]; then
  "$script" </dev/null
else
  echo "goldsmith: ${script%/*}, /var/tmp and $HOME allow no execution (noexec); running $* $script" >&2
  "$@" "$script" </dev/null
fi
code=$?
rm -f "$script"
exit $code
}
"""


# In front of the wrapper: writes the script by the same command that runs it. Under emulation an upload
# of its own costs a third of a second.
_PLACE = """(umask 077 && cat >"$1" && chmod 700 "$1") <<'{mark}' || exit 126
{script}{mark}
"""
_LARGEST_IN_LINE = 256 * 1024


class ShellProvisioner:
    """`inline` becomes one script and runs as the build user; `scriptUri` runs through `sudo -E`."""

    epoch: ClassVar[int] = 1

    def __init__(self, step: ShellStep, content: FrozenContent | None) -> None:
        self._step = step
        self._content = content
        self._elevated = content is not None and step.inline is None
        self._script = content.data if self._elevated and content else inline_script(step.inline or [])

    def inputs(self) -> Mapping[str, str]:
        """The script (text of inline, sha256 of scriptUri) and the step's variables."""
        if self._elevated and self._content is not None:
            return {"script": self._content.sha256, **inputs_of(self._step)}
        return {"inline": self._script.decode(), **inputs_of(self._step)}

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Upload the script, run it, delete it. Raises StepError unless it ends with exit code 0."""
        if guest.os_type != "Linux":
            raise StepError(
                "A Shell step needs a Linux guest.", hint="Use a PowerShell step on a Windows image."
            )
        step = StepRun(guest, context)
        stdin = (posix_exports(variables(context)) + _WRAPPER).encode()
        step.begin()
        path = f"/tmp/script_{secrets.randbelow(10000)}.sh"  # noqa: S108 - Packer's place and name
        if self._elevated or not _fits_in_line(self._script):
            step.put(self._script, path, mode=0o700)
        else:
            stdin = _place(self._script) + stdin
        command = ["sh", "-s", "--", path, *interpreter(self._script)]
        if self._elevated:
            command = elevated(guest, command)
        result = step.run(command, stdin=stdin)
        if result.exit_code != 0:
            self._explain(step, result.exit_code)

    def _explain(self, step: StepRun, exit_code: int) -> None:
        output = "\n".join(step.tail)
        if self._elevated and "sudo" in output:
            require_sudo(step)
        raise step.failed(exit_code, hint=_hint(self._script, output, exit_code))


def inline_script(lines: list[str]) -> bytes:
    """One script of all elements, `#!/bin/sh -e` first unless the first line is a shebang."""
    text = "\n".join(lines) + "\n"
    if not text.startswith("#!"):
        text = f"{DEFAULT_SHEBANG}\n{text}"
    return text.encode()


def _fits_in_line(script: bytes) -> bool:
    """Whether a here-document gives every byte of it back."""
    return len(script) <= _LARGEST_IN_LINE and script.endswith(b"\n") and b"\0" not in script


def _place(script: bytes) -> bytes:
    mark = f"goldsmith-{secrets.token_hex(16)}".encode()
    return _PLACE.encode().replace(b"{mark}", mark).replace(b"{script}", script)


def interpreter(script: bytes) -> list[str]:
    """What the first line asks for, as argv: the program and at most one argument, as the kernel does."""
    first = script.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r")
    words = first[2:].strip().split(None, 1) if first.startswith("#!") else []
    return words or ["/bin/sh"]


def elevated(guest: Guest, command: list[str]) -> list[str]:
    """`command` as root, keeping the environment; `-n` fails instead of waiting for a password."""
    return command if guest.user == "root" else ["sudo", "-n", "-E", *command]


def require_sudo(step: StepRun) -> None:
    """Raise StepError when the build user has no sudo without a password."""
    if step.guest.user == "root" or step.look(["sudo", "-n", "true"]).exit_code == 0:
        return
    raise StepError(
        f"The build user '{step.guest.user}' cannot use sudo without a password.",
        tail=step.tail,
        hint="Install sudo in the source image and leave the build user's entry in /etc/sudoers.d alone.",
    )


def _hint(script: bytes, output: str, exit_code: int) -> str | None:
    if b"\r\n" in script:
        return (
            "The script has Windows line endings (CRLF), so its shell sees '/bin/sh\\r' and the like: "
            "'not found'. Save it with LF (dos2unix, or .gitattributes: *.sh text eol=lf)."
        )
    if "sudo: a password is required" in output or "sudo: a terminal is required" in output:
        return "The build user's passwordless sudo was taken away; check /etc/sudoers and /etc/sudoers.d."
    if "ermission denied" in output and "sudo" not in script.decode(errors="replace"):
        return "Inline commands run as the build user, not as root: prefix them with sudo."
    if exit_code == 137:
        return "Out of memory? A larger vmProfile.vmSize gives the guest more."
    if exit_code == 127:
        return "A program the script calls, or its own interpreter, is not in the image."
    return None
