"""What the reading verbs print."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from builder.cli.output import print_json, print_table


class Colour(Enum):
    RED = "red"


@dataclass
class Thing:
    path: Path
    when: datetime
    colours: set[str]
    inner: object = None


def test_json_understands_our_values(capsys):
    when = datetime(2026, 1, 2, tzinfo=UTC)
    print_json([Thing(Path("/x"), when, {"b", "a"}, Thing(Path("y"), when, set(), Colour.RED))])
    (data,) = json.loads(capsys.readouterr().out)
    assert data["path"] == "/x"
    assert data["when"] == "2026-01-02T00:00:00+00:00"
    assert data["colours"] == ["a", "b"]
    assert data["inner"]["inner"] == "red"


def test_a_table_in_a_pipe_is_one_line_a_row(capsys):
    long = "/subscriptions/" + "x" * 300
    print_table(
        ["Name", "Size", "Id"], [["[red]a[/red]", "1.5 GiB", long], ["\x1b[2Jb", "12 B", None]], title="T"
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "T"
    assert lines[1].split() == ["Name", "Size", "Id"]
    assert lines[2].split() == ["[red]a[/red]", "1.5", "GiB", long]
    assert lines[3].split() == ["b", "12", "B"]
    assert lines[2].index("1.5 GiB") + len("1.5 GiB") == lines[3].index("12 B") + len("12 B"), (
        "sizes to the right"
    )
    assert not any(line.endswith(" ") for line in lines)
