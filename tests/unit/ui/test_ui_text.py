"""What a guest writes is shown readable and harmless."""

import pytest

from builder.cli.output import human_seconds, human_size
from builder.ui.text import clean


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[5;1Hhome\x1b[?25l", "home"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\after", "after"),
        ("\x1b(Bcharset\x1b=", "charset"),
        ("10%\r50%\r100%", "100%"),
        ("done\r", "done"),
        ("\r\r", ""),
        ("abc\b\bX", "aX"),
        ("\b\bX", "X"),
        ("a\tb", "a   b"),
        ("bell\x07 nul\x00 del\x7f c1\x9b31mred", "bell nul del c1red"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("unfinished \x1b[", "unfinished "),
        ("grüße 日本", "grüße 日本"),
        ("##vso[task.setvariable variable=a]b", "#_#vso[task.setvariable variable=a]b"),
        ("x ##VSO[task.complete]", "x #_#VSO[task.complete]"),
        ("#\x00#vso[task.complete]", "#_#vso[task.complete]"),
        ("x ##[add-path]/evil ##[x]", "x #_#[add-path]/evil #_#[x]"),
        ("::error::forged", ":_:error::forged"),
        ("\t ::set-env name=PATH;::/evil", "     :_:set-env name=PATH;::/evil"),
        ("a\n  ::add-mask::b", "a\n  :_:add-mask::b"),
        ("::1 and ::ffff:0 x::y", "::1 and ::ffff:0 x::y"),
        ("std::vector ## [x] a::b::c", "std::vector ## [x] a::b::c"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
    ],
)
def test_clean(raw, shown):
    assert clean(raw) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0 s"), (-1, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (3599.7, "1 h 00 min"), (7640, "2 h 07 min")],
)  # fmt: skip
def test_human_seconds(seconds, shown):
    assert human_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (3 * 1024**3, "3.0 GiB"),
     (5 * 1024**6, "5120.0 PiB")],
)  # fmt: skip
def test_human_size(size, shown):
    assert human_size(size) == shown
