"""`build images verify`: is it what was built, and would Azure take it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from builder.cli.output import human_size, print_json, print_table
from builder.errors import NotFoundError, UsageError
from builder.ui.text import clean

if TYPE_CHECKING:
    from builder.disk.verify import VerifyReport
    from builder.gate.gate import Report
    from builder.gate.rule import Rule
    from builder.registry.records import DataDiskRecord
    from builder.services import Services
    from builder.sources.base import Generation, OsType

_WORDS = {
    "ok": "ok",
    "failed": "FAILED",
    "warning": "warning",
    "waived": "waived",
    "unknown": "unknown",
    "notApplicable": "does not apply",
}
_ENDINGS = {".vhd", ".vhdx", ".raw", ".img", ".qcow2", ".vmdk"}


@dataclass(frozen=True)
class Asked:
    """What is looked at: a file, or a registered image with what is recorded of it. `copies` are further
    files of the same content.
    """

    path: Path
    digest: str = ""
    os_type: OsType | None = None
    generation: Generation | None = None
    data_disks: Sequence[DataDiskRecord] = ()
    copies: Sequence[Path] = ()
    registered: bool = False
    waived: Sequence[str] = field(default=())


def find(image: str) -> Asked:
    """A file of that name, else the managed image or gallery version. Raises NotFoundError, UsageError."""
    from builder.cli.images import open_registry
    from builder.registry.lookup import image_id, version_id
    from builder.settings import Home, load_settings

    if Path(image).is_file():
        return Asked(Path(image))
    if _means_a_file(image):
        what = "is no file" if Path(image).exists() else "does not exist"
        raise NotFoundError(
            f"{image} {what}.", hint="Name a disk file, a managed image or GALLERY/DEFINITION/VERSION."
        )
    registry = open_registry()
    if "/versions/" in image.casefold() or (image.count("/") == 2 and not image.startswith("/")):
        version = registry.find_version(version_id(registry, image))
        main = version.replica()
        if main is None:
            raise UsageError(f"The version {version.id} has no copy yet (its state is {version.state}).")
        others = [one.path for one in version.replicas if one is not main]
        return Asked(
            main.path,
            version.digest,
            version.os_type,
            version.generation,
            main.data_disks,
            others,
            registered=True,
        )
    record = registry.find_image(image_id(registry, image, load_settings(Home()).subscription_id))
    return Asked(
        record.path, record.digest, record.os_type, record.generation, record.data_disks, registered=True
    )


def _means_a_file(image: str) -> bool:
    """Whether what is no file was meant to be one: by its path, or by its ending."""
    if image.startswith("/"):
        return not image.casefold().startswith("/subscriptions/")
    return image.startswith((".", "~")) or Path(image).suffix.casefold() in _ENDINGS


def verify(asked: Asked, *, gate: bool, strict: bool, json: bool) -> bool:
    """Check and print; whether it passed. Raises VhdError for a registered image that is not what it was."""
    content = _content(asked)
    report = _gate(asked) if gate else None
    passed = report is None or report.passes(strict=strict)
    if json:
        print_json(_as_json(content, report, passed=passed))
        return passed
    _print_content(asked, content)
    if report is not None:
        typer.echo()
        _print_gate(report)
    typer.echo()
    if passed:
        typer.echo("The image is sound.")
    else:
        stops = ", ".join(one.rule for one in _stops(report, strict=strict))
        typer.echo(f"The image does not pass the gate: {stops}.")
    return passed


def require_gate(asked: Asked, services: Services) -> None:
    """The VHD gate before an image leaves this machine, unless it is switched off. Raises GateError."""
    from builder.events import Wait
    from builder.gate.gate import require

    if services.settings.gate == "off":
        return
    with Wait(services.bus, "Asking the VHD gate"):
        report = _gate(asked)
    for result in report.of("warning", "unknown", "waived"):
        services.bus.warn(f"{result.rule}: {_WORDS[result.outcome]}: {result.said}", code="Gate")
    require(report, by_hand=True)


def print_rules(*, json: bool) -> None:
    """Every rule with its page."""
    from builder.gate.gate import RULES

    if json:
        print_json([_rule_as_json(rule) for rule in RULES])
        return
    rows = [(rule.name, rule.severity, rule.title, rule.page) for rule in RULES]
    print_table(("Rule", "Severity", "What it asks", "Page"), rows)


def _content(asked: Asked) -> VerifyReport | None:
    """What is in it, checked against what is recorded; of a file that is no sound VHD nothing."""
    from dataclasses import replace

    from builder.disk.partitions import PartitionTableError
    from builder.disk.verify import verify_vhd
    from builder.disk.vhd import VhdError

    if asked.registered:
        report = verify_vhd(asked.path, asked.digest)
        for copy in asked.copies:
            verify_vhd(copy, asked.digest)
        disks = tuple(verify_vhd(disk.path, disk.digest) for disk in asked.data_disks)
        return replace(report, data_disks=disks)
    try:
        return verify_vhd(asked.path)
    except (VhdError, PartitionTableError):
        return None  # the gate says it, with all the rest


def _gate(asked: Asked) -> Report:
    from builder.gate.gate import check

    disks: Mapping[int, Path] = {disk.lun: disk.path for disk in asked.data_disks}
    return check(
        asked.path,
        os_type=asked.os_type,
        generation=asked.generation,
        waived=asked.waived,
        data_disks=disks,
    )


def _print_content(asked: Asked, content: VerifyReport | None) -> None:
    from builder.cli.images import print_facts

    if content is None:
        print_facts(("File", str(asked.path)))
        return
    recorded = "as recorded" if asked.digest else "not recorded"
    print_facts(
        ("File", str(content.path)),
        ("VHD", f"fixed, {human_size(content.virtual_size)}, {human_size(content.size_on_disk)} on disk"),
        ("Partitions", clean(", ".join(content.partitions)) or "none"),
        ("Content", f"{content.digest} ({recorded})"),
        *(("Copy", f"{path}, as recorded") for path in asked.copies),
        *(("Data disk", f"{one.path}, as recorded") for one in content.data_disks),
    )


def _print_gate(report: Report) -> None:
    rows = [(one.rule, _WORDS[one.outcome], clean(one.said)) for one in report.results]
    print_table(("Rule", "Result", "What was seen"), rows)
    for line in _advice(report):
        typer.echo(line)
    typer.echo()
    typer.echo(f"{report.summary}. {_as_what(report)}")


def _advice(report: Report) -> Iterator[str]:
    for result in report.of("failed", "warning"):
        for finding in result.findings:
            yield ""
            yield f"{result.rule} ({finding.severity}): {clean(finding.message)}"
            yield from (
                f"  {name} {clean(text)}"
                for name, text in (
                    ("seen:", finding.evidence),
                    ("do:  ", finding.fix),
                    ("page:", result.page),
                )
                if text
            )


def _as_what(report: Report) -> str:
    system = report.os_type or "a system that is not known"
    if report.generation is not None:
        return f"Looked at as {system}, generation {report.generation}."
    return f"Looked at as {system}; --generation V1 or V2 asks for one generation."


def _stops(report: Report | None, *, strict: bool) -> Sequence[Any]:
    if report is None:
        return ()
    return report.of("failed", "warning", "unknown") if strict else report.of("failed")


def _as_json(content: VerifyReport | None, report: Report | None, *, passed: bool) -> dict[str, Any]:
    from builder.as_json import to_json

    data: dict[str, Any] = to_json(content) if content is not None else {}
    if report is not None:
        data.setdefault("path", str(report.path))
        data["gate"] = {**to_json(report), "passed": passed}
    return data


def _rule_as_json(rule: Rule) -> dict[str, str]:
    return {"name": rule.name, "severity": rule.severity, "title": rule.title, "page": rule.page}
