from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.blob.errors import UploadError
from builder.blob.plan import (
    LARGEST,
    PAGE,
    PageRange,
    covered,
    difference,
    fingerprint,
    merged,
    pieces,
    total,
)
from builder.blob.verify import check_ranges

MIB = 1024**2
SIZE = 64 * MIB
Extents = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 9 * MIB)), max_size=12).map(
    lambda spans: sorted((start, min(start + length, SIZE)) for start, length in spans)
)
Ranges = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 9)).map(
        lambda pair: PageRange(pair[0] * PAGE, (pair[0] + pair[1]) * PAGE)
    ),
    max_size=8,
)


def test_a_disk_without_data_sends_nothing() -> None:
    assert list(pieces([], SIZE)) == []


def test_an_extent_is_cut_at_4_mib_and_never_made_larger() -> None:
    found = list(pieces([(MIB, 10 * MIB + 4096)], SIZE))
    assert found == [
        PageRange(MIB, 5 * MIB),
        PageRange(5 * MIB, 9 * MIB),
        PageRange(9 * MIB, 10 * MIB + 4096),
    ]


def test_a_hole_between_is_not_bridged_however_small() -> None:
    assert list(pieces([(0, 4096), (8192, 12288)], SIZE)) == [PageRange(0, 4096), PageRange(8192, 12288)]


def test_pages_are_512_bytes_and_no_page_goes_twice() -> None:
    assert list(pieces([(100, 600), (1000, 1100)], SIZE)) == [PageRange(0, 1536)]
    assert list(pieces([(SIZE - 10, SIZE)], SIZE)) == [PageRange(SIZE - PAGE, SIZE)]


@settings(deadline=None)
@given(Extents)
def test_every_byte_of_data_is_in_one_piece(extents: list[tuple[int, int]]) -> None:
    found = list(pieces(extents, SIZE))
    assert all(one.start % PAGE == one.end % PAGE == 0 and 0 < one.size <= LARGEST for one in found)
    assert all(left.end <= right.start for left, right in itertools.pairwise(found))
    whole = merged(found)
    for start, end in extents:
        assert covered(PageRange(start, end), whole)
    # What is sent beyond the data is less than a page at either end of an extent.
    data = total(merged(PageRange(start, end) for start, end in extents))
    assert total(found) <= data + 2 * (PAGE - 1) * len(extents)


def pages(ranges: list[PageRange]) -> set[int]:
    return {page for one in ranges for page in range(one.start // PAGE, one.end // PAGE)}


@settings(deadline=None)
@given(Ranges, Ranges)
def test_arithmetic_of_ranges_is_that_of_sets(left: list[PageRange], right: list[PageRange]) -> None:
    assert pages(difference(left, right)) == pages(left) - pages(right)
    assert pages(merged(left)) == pages(left)
    assert total(merged(left)) == PAGE * len(pages(left))
    assert (fingerprint(left) == fingerprint(right)) == (pages(left) == pages(right))
    for one in right:
        assert covered(one, merged(left)) == (pages([one]) <= pages(left))


def test_what_is_missing_and_what_is_too_much_is_named() -> None:
    sent = [PageRange(0, 4096), PageRange(8192, 12288)]
    check_ranges(sent, [PageRange(0, 1024), PageRange(1024, 4096), PageRange(8192, 12288)], "uri")
    try:
        check_ranges(sent, [PageRange(0, 4096), PageRange(20480, 20992)], "https://a.example/v/b.vhd")
    except UploadError as error:
        assert error.details == (
            "sent and not there: 4096 bytes at 8192-12287",
            "there and not sent: 512 bytes at 20480-20991",
        )
    else:
        raise AssertionError("nothing was found")
