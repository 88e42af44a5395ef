"""The gate itself: every rule asked of one image, and what came of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import foresight
from builder.errors import BuildError, UsageError
from builder.gate import agents, container, drivers, guest, inspect, partitions
from builder.gate.rule import Fault, Finding, Outcome, Rule, Severity, Unknown
from builder.vm.access import BUILD_USER

if TYPE_CHECKING:
    from builder.gate.subject import Guest, Subject
    from builder.sources.base import Generation, OsType

RULES: tuple[Rule, ...] = (
    *container.RULES,
    *partitions.RULES,
    *drivers.RULES,
    *guest.RULES,
    *agents.RULES,
)


class GateError(BuildError):
    """An image breaks rules of Azure's and stays here."""

    code = "GateFailed"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one rule. `said`: what was seen where it is kept, why it is unknown or does not apply."""

    rule: str
    title: str
    page: str
    severity: Severity
    outcome: Outcome
    said: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all rules. `generation` None: its partitions fit both, or neither."""

    path: Path
    os_type: OsType | None
    generation: Generation | None
    results: tuple[Result, ...]

    def of(self, *outcomes: Outcome) -> tuple[Result, ...]:
        """The results with one of these outcomes."""
        return tuple(result for result in self.results if result.outcome in outcomes)

    def passes(self, *, strict: bool = False) -> bool:
        """Whether it may leave. Strict: without a warning, and with nothing unknown."""
        return not self.of("failed", *(("warning", "unknown") if strict else ()))

    @property
    def summary(self) -> str:
        """How many rules came out how, in a line."""
        words = {
            "ok": "ok",
            "failed": "failed",
            "warning": "with a warning",
            "waived": "waived",
            "unknown": "unknown",
            "notApplicable": "that do not apply",
        }
        counts = {name: sum(result.outcome == name for result in self.results) for name in words}
        return f"{len(self.results)} rules: " + ", ".join(
            f"{count} {words[name]}" for name, count in counts.items() if count
        )


def names() -> tuple[str, ...]:
    """The names of all rules."""
    return tuple(rule.name for rule in RULES)


def require_names(waived: Iterable[str]) -> frozenset[str]:
    """The names, each of a rule. Raises UsageError with a suggestion."""
    known = names()
    for name in waived:
        if name not in known:
            close = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
            hint = f"Did you mean '{close[0]}'?" if close else f"The rules are: {', '.join(known)}."
            raise UsageError(f"There is no rule '{name}' of the VHD gate.", hint=hint)
    return frozenset(waived)


def check(
    vhd: Path,
    *,
    os_type: OsType | None = None,
    generation: Generation | None = None,
    waived: Iterable[str] = (),
    user: str = BUILD_USER,
    data_disks: Mapping[int, Path] | None = None,
) -> Report:
    """Ask every rule of the image in `vhd`. It is only read, and nothing in it is run.

    `user` must be gone from a generalized image; `data_disks` (by lun) belong to it. A file that is no fixed
    VHD is a finding. Raises UsageError for a rule that there is not, NotFoundError and PreflightError for a
    file that cannot be read.
    """
    allowed = require_names(tuple(waived))
    subject, image = inspect.inspect(
        vhd, os_type=os_type, generation=generation, user=user, data_disks=data_disks
    )
    if image is None:
        results = judge(subject, allowed)
    else:
        found: Guest = subject.guest
        try:
            results = foresight.ask(
                image,
                lambda files: judge(replace(subject, guest_or_why=replace(found, files=files)), allowed),
            )
        except inspect.UNREADABLE as error:
            results = judge(replace(subject, guest_or_why=inspect.reason(error)), allowed)
    return Report(vhd, subject.os_type, subject.generation, results)


def judge(subject: Subject, waived: frozenset[str] = frozenset()) -> tuple[Result, ...]:
    """The result of every rule. Pure."""
    return tuple(_result(rule, subject, waived) for rule in RULES)


def require(report: Report, *, strict: bool = False, by_hand: bool = False) -> None:
    """Raises GateError with every finding when the image may not leave. `by_hand`: of a command, where rules
    are waived by options, not of a template's build.
    """
    if report.passes(strict=strict):
        return
    failed = report.of("failed", *(("warning", "unknown") if strict else ()))
    details = [
        f"{result.rule}: {finding.message}" + (f" [{finding.evidence}]" if finding.evidence else "")
        for result in failed
        for finding in result.findings
    ]
    details += [f"{result.rule}: not known: {result.said}" for result in failed if not result.findings]
    details += dict.fromkeys(f"see {result.page}" for result in failed)
    fixes = [finding.fix for result in failed for finding in result.findings if finding.fix]
    rules = ", ".join(f'"{result.rule}"' for result in failed)
    waive = (
        " ".join(f"--waive {result.rule}" for result in failed)
        if by_hand
        else f'"x-goldsmith": {{"waive": [{rules}]}}'
    )
    raise GateError(
        f"The image may not leave this machine: {', '.join(result.rule for result in failed)}.",
        details=tuple(details),
        hint=f"{fixes[0] if fixes else 'Correct the image.'} If that is how you want it: {waive}.",
    )


def _result(rule: Rule, subject: Subject, waived: frozenset[str]) -> Result:
    def result(outcome: Outcome, said: str, findings: tuple[Finding, ...] = ()) -> Result:
        return Result(rule.name, rule.title, rule.page, rule.severity, outcome, said, findings)

    why_not = rule.applies(subject)
    if why_not:
        return result("notApplicable", why_not)
    findings: list[Finding] = []
    seen: list[str] = []
    unknown = ""
    try:
        for item in rule.check(subject):
            if isinstance(item, Fault):
                severity = item.severity or rule.severity
                findings.append(Finding(rule.name, severity, item.message, item.fix, item.evidence))
            else:
                seen.append(item.text)
    except Unknown as reason:
        unknown = str(reason)
    except inspect.UNREADABLE as error:
        unknown = inspect.reason(error)
    if rule.name in waived and (findings or unknown):
        return result("waived", findings[0].message if findings else unknown, tuple(findings))
    if findings:
        outcome: Outcome = "failed" if any(one.severity == "error" for one in findings) else "warning"
        return result(outcome, findings[0].message, tuple(findings))
    return result("unknown", unknown) if unknown else result("ok", "; ".join(seen))
