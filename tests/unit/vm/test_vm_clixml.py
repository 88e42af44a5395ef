"""PowerShell's CLIXML on stderr, turned into words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builder.vm.clixml import MARK, MAX_HELD, ClixmlFilter, texts_of

HEAD = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'


def read(*lines: str) -> list[str]:
    filtered = ClixmlFilter()
    return [*filtered.feed(list(lines)), *filtered.finish()]


def test_errors_stay_and_progress_goes() -> None:
    document = (
        f'{HEAD}<Obj S="progress" RefId="0"><MS><I64 N="SourceId">1</I64></MS></Obj>'
        '<S S="Error">a &amp; b_x000D__x000A_</S><S S="Error">c</S></Objs>'
    )
    assert read("before", MARK, document, "after") == ["before", "a & b", "c", "after"]


def test_two_documents_and_one_over_several_lines() -> None:
    one = f'{HEAD}<S S="warning">w</S></Objs>'
    assert read(MARK, one, MARK, HEAD, '<S S="Error">x', "y</S></Objs>") == ["WARNING: w", "x", "y"]
    assert read(f"{MARK}{one}") == ["WARNING: w"]
    assert read(f"words {MARK}", one) == ["words ", "WARNING: w"]


def test_a_document_cut_off_is_shown_as_it_came() -> None:
    assert read(MARK, f'{HEAD}<S S="Error">half') == [f'{HEAD}<S S="Error">half']
    assert read(MARK) == []


def test_a_document_that_never_ends_fills_no_memory() -> None:
    filtered = ClixmlFilter()
    found = filtered.feed([MARK, *(["x" * 16_384] * (MAX_HELD // 16_384 + 1))])
    assert sum(map(len, found)) > MAX_HELD
    assert filtered.feed(["plain"]) == ["plain"]


@given(st.text(st.characters(codec="ascii", exclude_characters="<>&\r\n_"), min_size=1).filter(str.strip))
def test_any_text_survives(text: str) -> None:
    assert texts_of(f'{HEAD}<S S="Error">{text}_x000D__x000A_</S></Objs>') == [text]


@given(st.lists(st.text(st.characters(exclude_characters="\n"))))
def test_what_is_no_clixml_is_not_touched(lines: list[str]) -> None:
    plain = [line for line in lines if MARK not in line]
    assert read(*plain) == plain
