"""The HTML report holds the facts of a run and no markup of outsiders."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from shown_runs import ARM_ID, failed_run, good_run

from builder.errors import NotFoundError
from builder.events import Envelope
from builder.runs import RecordSink, RunDirectory
from builder.settings import Home
from builder.ui.report import write_report


def recorded(tmp_path, events):
    run = RunDirectory.create(Home(tmp_path))
    run.record.template.name = "web <script>alert(1)</script>"
    start = datetime.now(UTC)
    with RecordSink(run) as sink:
        for number, event in enumerate(events):
            sink(Envelope(start + timedelta(seconds=number), float(number), event))
    return run.path


def test_a_good_run(tmp_path):
    file = write_report(recorded(tmp_path, good_run()))
    text = file.read_text()
    assert file.name == "report.html"
    for fact in ("Succeeded", ARM_ID, "/r/image.vhd", "1.5 GiB on disk, 4.0 GiB virtual", "motd", "cached",
                 "vnetConfig [b]is[/b] not used", "IT_g_web", "customization.log"):  # fmt: skip
        assert fact in text, fact
    assert "What went wrong" not in text
    assert "<script" not in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text), "self-contained"


def test_a_failed_run_shows_error_and_last_lines(tmp_path):
    text = write_report(recorded(tmp_path, failed_run())).read_text()
    for fact in ("What went wrong", "It failed with exit code 100.", "apt: 100%", "Look [at] the script.",
                 "/home/x/runs/r2/failure"):  # fmt: skip
        assert fact in text, fact
    assert "\x1b" not in text


def test_bars_lie_within_the_run(tmp_path):
    text = write_report(recorded(tmp_path, good_run())).read_text()
    bars = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", text)
    assert len(bars) == 4
    assert all(float(left) + float(width) <= 100.01 for left, width in bars)


def test_a_killed_run_has_a_report_too(tmp_path):
    path = recorded(tmp_path, list(failed_run())[:3])
    with (path / "events.jsonl").open("a") as stream:
        stream.write('{"kind": "step.out')
    text = write_report(path).read_text()
    assert "interrupted" in text
    assert "not finished" in text


def test_no_run(tmp_path):
    with pytest.raises(NotFoundError):
        write_report(tmp_path)
