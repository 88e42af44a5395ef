"""Blocks of a report, as aligned text or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """A heading, a table, and remarks below it. The first `words` columns are words, the others figures."""

    heading: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    remarks: Sequence[str] = field(default_factory=tuple)
    words: int = 1


def text(blocks: Sequence[Block]) -> str:
    """For a terminal."""
    return "\n\n".join("\n".join([block.heading, *_aligned(block), *block.remarks]) for block in blocks)


def markdown(blocks: Sequence[Block]) -> str:
    """For docs/benchmarks.md."""
    return "\n\n".join("\n\n".join(_parts(block)) for block in blocks)


def _aligned(block: Block) -> list[str]:
    lines = [block.columns, *block.rows] if block.columns else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = (
        "  ".join(
            cell.ljust(width) if number < block.words else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return [f"  {row}".rstrip() for row in rows]


def _parts(block: Block) -> list[str]:
    parts = [f"### {block.heading}"]
    if block.columns:
        rule = ["---" if number < block.words else "---:" for number in range(len(block.columns))]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in [block.columns, rule, *block.rows]))
    if block.remarks:
        parts.append("\n".join(f"- {remark}" for remark in block.remarks))
    return parts
