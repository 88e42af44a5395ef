"""Which bytes of a VHD go up, and in what pieces. Pure: from extents to page ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PAGE = 512
"""Page blobs are written in whole pages of so many bytes."""
LARGEST = 4 * 1024**2
"""Bytes that one Put Page takes at most."""


@dataclass(frozen=True, slots=True, order=True)
class PageRange:
    """Bytes from `start` up to, not including, `end`; both are multiples of 512."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start}-{self.end - 1}"


def pieces(extents: Iterable[tuple[int, int]], size: int, largest: int = LARGEST) -> Iterator[PageRange]:
    """The pieces to send of a disk of `size` bytes that holds something in `extents` (ascending).

    Only the pages that an extent touches: nothing is rounded up to more, and a hole is never bridged.
    """
    for whole in merged(PageRange(_down(start), min(_up(end), size)) for start, end in extents):
        for start in range(whole.start, whole.end, largest):
            yield PageRange(start, min(start + largest, whole.end))


def merged(ranges: Iterable[PageRange]) -> list[PageRange]:
    """The same bytes in as few ranges as possible, in order."""
    found: list[PageRange] = []
    for one in sorted(ranges):
        if one.size <= 0:
            continue
        if found and one.start <= found[-1].end:
            found[-1] = PageRange(found[-1].start, max(found[-1].end, one.end))
        else:
            found.append(one)
    return found


def covered(one: PageRange, there: list[PageRange]) -> bool:
    """Whether all of `one` lies in one of `there`, which is merged."""
    from bisect import bisect_right

    place = bisect_right(there, one.start, key=lambda item: item.start)
    return place > 0 and there[place - 1].end >= one.end


def difference(left: Iterable[PageRange], right: Iterable[PageRange]) -> list[PageRange]:
    """The bytes of `left` that are not in `right`."""
    found = []
    taken = merged(right)
    place = 0
    for one in merged(left):
        start = one.start
        while place < len(taken) and taken[place].end <= start:
            place += 1
        look = place
        while look < len(taken) and taken[look].start < one.end:
            if taken[look].start > start:
                found.append(PageRange(start, taken[look].start))
            start = max(start, taken[look].end)
            look += 1
        if start < one.end:
            found.append(PageRange(start, one.end))
    return found


def total(ranges: Iterable[PageRange]) -> int:
    """Bytes in all of them."""
    return sum(one.size for one in ranges)


def fingerprint(ranges: Iterable[PageRange]) -> str:
    """What tells one set of ranges from another: 32 hexadecimal digits."""
    import hashlib

    text = ",".join(f"{one.start}-{one.end}" for one in merged(ranges))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _down(position: int) -> int:
    return position - position % PAGE


def _up(position: int) -> int:
    return -(-position // PAGE) * PAGE
