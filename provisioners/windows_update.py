"""WindowsUpdate: search, install, restart, until nothing is left; after AIB's and Packer's meaning of it."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar

from provisioners import powershell_text
from provisioners.base import FrozenContent, RestartedError, StepContext, StepError
from provisioners.environment import inputs_of, powershell_quote
from provisioners.guest import Guest, GuestError
from provisioners.restart import WINDOWS_ACCEPTED, Restarting
from provisioners.step_run import StepRun
from provisioners.windows_update_codes import explain, worded
from templates.model import WindowsUpdateStep

# aib-template, section 3: what the empty values mean.
DEFAULT_CRITERIA = "BrowseOnly=0 and IsInstalled=0"
DEFAULT_FILTERS = ("include:$true",)
DEFAULT_LIMIT = 1000

MOST_ROUNDS = 30
MOST_TRIES = 3
"""How often an update may fail or come back although it is installed, or a search fail in passing."""
PAUSE_SECONDS = 30.0
_SUCCEEDED = (2, 3)  # OperationResultCode: succeeded, succeeded with errors
_RESTART = 'shutdown /r /f /t 0 /c "goldsmith: updates"'
_DIRECTORY = "C:/Windows/Temp"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What became of one update. `code` is an OperationResultCode; `id` has its revision in it."""

    id: str
    title: str
    code: int
    hresult: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a round says of itself. `phase`: where it ended; `hresult` and `message` are of what ended it."""

    phase: str
    restart: bool
    hresult: str
    message: str
    updates: tuple[UpdateResult, ...]

    @classmethod
    def parse(cls, data: bytes) -> Report:
        """Read the file of a round. Raises ValueError, KeyError, TypeError when it is none."""
        facts = json.loads(data.decode("utf-8-sig"))
        updates = facts["updates"]
        if isinstance(updates, dict):  # ConvertTo-Json of Windows PowerShell unwraps a list of one, at times
            updates = [updates]
        return cls(
            str(facts["phase"]),
            bool(facts["restart"]),
            str(facts["hresult"]),
            str(facts["message"]),
            tuple(UpdateResult(x["id"], x["title"], int(x["code"]), x["hresult"]) for x in updates or ()),
        )


class WindowsUpdateProvisioner(Restarting):
    """`WindowsUpdate`. Its time is the step's: there is no limit of its own."""

    epoch: ClassVar[int] = 1

    def __init__(self, step: WindowsUpdateStep, content: FrozenContent | None) -> None:
        self._step = step
        self._criteria = step.search_criteria or DEFAULT_CRITERIA
        self._filters = tuple(map(_named, step.filters)) or DEFAULT_FILTERS
        self._limit = step.update_limit or DEFAULT_LIMIT

    def inputs(self) -> Mapping[str, str]:
        """What is searched for and selected; what there is to find changes by itself."""
        return {
            "searchCriteria": self._criteria,
            "filters": json.dumps(self._filters),
            "updateLimit": str(self._limit),
            **inputs_of(self._step),
        }

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Update until a search finds nothing more. Raises StepError naming what does not install."""
        if guest.os_type != "Windows":
            raise StepError("WindowsUpdate needs a Windows guest.", hint="Use a Shell step on Linux.")
        step = StepRun(guest, context)
        tally = _Tally(step)
        for number in range(1, MOST_ROUNDS + 1):
            step.begin()
            step.say(f"updates, round {number}")
            report = self._round(step)
            if report is None:
                tally.restarted_by_itself()
            elif report.message:
                tally.passing_or_raise(report)
                time.sleep(min(PAUSE_SECONDS, step.remaining()))
            elif report.restart:
                tally.count(report)
                self._restart(step)
            elif not report.updates:
                step.say(f"no updates are left; {tally.installed} were installed")
                return
            elif tally.count(report):
                return
        raise StepError(
            f"There are still updates after {MOST_ROUNDS} rounds.",
            tail=step.tail,
            hint="Leave out by a filter what comes again and again.",
        )

    def _round(self, step: StepRun) -> Report | None:
        """One search and what follows from it; None when Windows restarted in the middle of it."""
        stem = f"{_DIRECTORY}/goldsmith-{secrets.token_hex(4)}"
        script, report, log = f"{stem}.ps1", f"{stem}.json", f"{stem}.log"
        task = powershell_text.scheduled_task(
            stem.rsplit("/", 1)[1],
            script=script.replace("/", "\\"),
            log=log.replace("/", "\\"),
            as_system=True,
            limit=int(step.remaining()),
        )
        try:
            step.put(_BOM + self._script(report).encode(), script, mode=0o600)
            code = step.run(powershell_text.command(task)).exit_code
            return self._read(step, report, code)
        except RestartedError:
            return None
        finally:
            with contextlib.suppress(GuestError, StepError):
                step.look(powershell_text.delete([script, report, log]))

    def _script(self, report: str) -> str:
        filters = ", ".join(map(powershell_quote, self._filters))
        header = (
            f"$criteria = {powershell_quote(self._criteria)}\n"
            f"$filters = @({filters})\n"
            f"$limit = {self._limit}\n"
            f"$reportFile = {powershell_quote(report)}\n"
        )
        return header + resources.files("provisioners").joinpath("windows_update.ps1").read_text("utf-8")

    def _read(self, step: StepRun, report: str, code: int) -> Report:
        try:
            return Report.parse(step.guest.get(report, timeout=step.remaining(60)))
        except (GuestError, ValueError, KeyError, TypeError) as error:
            raise StepError(
                f"The updates ended without a report (exit code {code}).",
                exit_code_of_step=code,
                tail=step.tail,
                details=(str(error),),
                hint="Did the step run out of time, or does the account lack the rights of an administrator?",
            ) from error

    def _restart(self, step: StepRun) -> None:
        """Restart and wait; installing what was staged may take most of an hour."""
        step.say("restarting")
        before = step.guest.boot_id(timeout=step.remaining(60))
        result = self._ask(step, powershell_text.command(powershell_text.command_line(_RESTART)))
        if result is not None and result.exit_code >= 0 and result.exit_code not in WINDOWS_ACCEPTED:
            raise StepError(
                f"The guest refused to restart (exit code {result.exit_code}).",
                exit_code_of_step=result.exit_code,
                tail=result.tail,
            )
        self._wait(step, before, time.monotonic() + step.remaining())


def _named(text: str) -> str:
    """A filter that names no action counts as one that includes, as in an example of Microsoft's."""
    action, colon, _ = text.partition(":")
    known = bool(colon) and action.strip().casefold() in ("include", "exclude")
    return text if known else f"include:{text}"


class _Tally:
    """What happened over the rounds, so that what never ends is noticed."""

    def __init__(self, step: StepRun) -> None:
        self._step = step
        self._failed: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._passing = 0
        self._restarts = 0
        self.installed = 0

    def count(self, report: Report) -> bool:
        """Add a round. Returns whether the same updates only come back. Raises StepError when one keeps
        failing.
        """
        self._passing = 0
        for update in report.updates:
            if update.code in _SUCCEEDED:
                self._seen[update.id] += 1
                self.installed += self._seen[update.id] == 1
            else:
                self._failed[update.id] += 1
                self._step.say(f"failed: {update.title}: {worded(update.hresult)}")
        given_up = [update for update in report.updates if self._failed[update.id] >= MOST_TRIES]
        if given_up:
            raise self._failure(given_up)
        again = [update for update in report.updates if self._seen[update.id] >= MOST_TRIES]
        if again and len(again) == len(report.updates):
            for update in again:
                self._step.say(f"offered again although it is installed, left as it is: {update.title}")
            return True
        return False

    def passing_or_raise(self, report: Report) -> None:
        """A round that ended by an error. Raises StepError unless it may go by."""
        known = explain(report.hresult)
        self._passing += 1
        if known is not None and known.transient and self._passing < MOST_TRIES:
            self._step.say(f"{report.phase} failed, trying again: {worded(report.hresult)}")
            return
        what = {
            "filters": "A filter of the updates cannot be read",
            "search": "The search for updates failed",
        }
        raise StepError(
            f"{what.get(report.phase, f'The updates failed (phase {report.phase})')}: "
            f"{worded(report.hresult) if report.phase != 'filters' else report.message}",
            tail=self._step.tail,
            details=(report.message,) if report.phase != "filters" else (),
            hint=known.hint if known else "C:\\Windows\\Logs\\CBS\\CBS.log in the guest says more.",
        )

    def restarted_by_itself(self) -> None:
        """Windows restarted during a round, as it does to finish what an update began."""
        self._restarts += 1
        if self._restarts >= MOST_TRIES:
            raise StepError(
                f"The guest restarted by itself {self._restarts} times while updates were installed.",
                tail=self._step.tail,
                hint="Does something in the image restart it? See the serial log and the screenshot.",
            )
        self._step.say("the guest restarted by itself; searching again")

    def _failure(self, updates: list[UpdateResult]) -> StepError:
        hints = [known.hint for update in updates if (known := explain(update.hresult))]
        return StepError(
            f"{len(updates)} update{'s' if len(updates) > 1 else ''} could not be installed "
            f"({MOST_TRIES} tries).",
            tail=self._step.tail,
            details=tuple(f"{update.title}: {worded(update.hresult)}" for update in updates),
            hint=hints[0] if hints else "Leave it out by a filter: exclude:$_.Title -like '*KB...*'",
        )
