"""A survey for people."""

from __future__ import annotations

from dataclasses import replace

from builder.changes import Change
from builder.plan import PlannedStep
from builder.survey import Remark, Survey, SurveyedSource, SurveyedVm, Timeouts
from builder.ui.plan import survey_lines
from builder.usage.billing import WantedRegion, bill, total
from builder.usage.estimate import Estimate
from builder.usage.report import Money

GIB = 1024**3
SURVEY = Survey(
    template="web",
    file="t.json",
    workspace="IT_goldsmith_web",
    source=SurveyedSource(
        "PlatformImage", "D:d:12:1.0.0", "latest", "1.0.0", "Linux", "V2", 0, cached=False, means="x"
    ),
    vm=SurveyedVm("Standard_B1s", 1, 1024, 4 * GIB),
    timeouts=Timeouts(14400, 900),
    steps=(
        PlannedStep("Source", 1, "D:d:12:1.0.0", "PlatformImage", "CACHED", "already on this machine"),
        PlannedStep("Customize", 1, "Install", "Shell", "RUN", "no layer of it yet", timeout=90),
        PlannedStep("Validate", 1, "Validate", "", "SKIP", "the template has no validations"),
    ),
    changes=(Change("create", "vhd", "/out/web.vhd"), Change("delete", "file", "/home/old.vhd", "replaced")),
    remarks=(Remark("VmSize", "first\nsecond", "do this"),),
)


def test_plain_text_is_aligned() -> None:
    lines = list(survey_lines(SURVEY))
    text = "\n".join(lines)
    assert "\x1b" not in text
    steps = [line for line in lines if line.lstrip().startswith(("CACHED", "RUN", "SKIP"))]
    assert [line.split()[0] for line in steps] == ["CACHED", "RUN", "SKIP"]
    assert (
        len(
            {
                line.index(reason)
                for line, reason in zip(steps, ("already", "no layer", "the template"), strict=True)
            }
        )
        == 1
    )
    assert "  Source     D:d:12:1.0.0 (what 'latest' is now)" in lines
    assert "1 vCPUs, 1024 MiB of memory, disk 4.0 GiB" in text
    assert "build 4 h 00 min, each boot 15 min 00 s" in text
    assert "no layer of it yet, at most 1 min 30 s" in text
    assert "  + creates  VHD   /out/web.vhd" in lines
    assert "  - deletes  file  /home/old.vhd  (replaced)" in lines
    assert lines[-1] == "3 steps: 1 to run, 1 cached, 1 skipped. Nothing was changed."
    assert [line for line in lines if "first" in line or "second" in line or "do this" in line] == [
        "note: first",
        "      second",
        "  hint: do this",
    ]


def test_colours_change_nothing_else() -> None:
    import re

    coloured = "\n".join(survey_lines(SURVEY, colour=True))
    assert "\x1b[32m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == "\n".join(survey_lines(SURVEY))


def test_a_template_cannot_move_the_cursor() -> None:
    evil = "a\x1b[2Jb"
    step = replace(SURVEY.steps[1], name=evil, type=evil, reason=evil)
    shown = replace(SURVEY, template=evil, steps=(step,), changes=(Change("create", "vhd", evil, evil),))
    assert "\x1b" not in "\n".join(survey_lines(shown))


def test_what_would_be_billed() -> None:
    lines = bill((GIB,), "westus", [WantedRegion("westus", 2, "Standard_LRS"), WantedRegion("b", 1, "x")])
    money = Money("EUR", 1.5, 0.25, ("x in b",))
    one = Estimate("out", GIB, "version 1.0.0 of this definition", lines, total(lines), money)
    text = "\n".join(survey_lines(replace(SURVEY, estimates=(one,))))
    assert (
        "  Billed     out: 3 snapshots, 3.0 GiB in all (1.0 GiB in each replica, as in version 1.0.0 of this "
        "definition); 1.0 GiB to other regions" in text
    )
    assert "1.50 EUR a month, 0.25 EUR once; without x in b: no price" in text
    assert "EUR" not in "\n".join(survey_lines(replace(SURVEY, estimates=(replace(one, money=None),))))
