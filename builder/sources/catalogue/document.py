"""The table of built-in images in docs/catalogue.md, made of the data.

`python -m builder.sources.catalogue.document docs` writes it anew; a test says when it is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from builder.sources.catalogue.load import read_built_in
from builder.sources.catalogue.model import CatalogueImage, Recipe
from builder.sources.catalogue.words import BUILT_IN, fetched

BEGIN = "<!-- The table is made by `python -m builder.sources.catalogue.document docs`. -->"
END = "<!-- End of the table. -->"
_WAYS = {
    "bootstrap": "packages of {distribution} {suite}",
    "download": "cloud image, {proof}",
    "file": "a file",
    "provide": "brought by you",
}
_PROOFS = {"detached": "signed sums", "inline": "signed sums", "none": "unsigned sums"}


def table() -> str:
    """The table, in Markdown."""
    lines = ["| image | other names | starts under | user | comes from |", "|---|---|---|---|---|"]
    lines += [_row(image) for image in sorted(read_built_in(), key=lambda image: image.key)]
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The page with the table in its place. Raises ValueError when it has no place for it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def _row(image: CatalogueImage) -> str:
    recipes = [recipe for several in image.versions.values() for recipe in several]
    cells = (
        f"`{image.urn}`" + (" (plan)" if image.plan and image.plan.required else ""),
        ", ".join(f"`{alias}`" for alias in image.aliases),
        "UEFI" if image.generation == "V2" else "BIOS",
        image.user_name or "",
        "; or ".join(_way(recipe) for recipe in recipes),
    )
    return f"| {' | '.join(cells)} |"


def _way(recipe: Recipe) -> str:
    said = _WAYS[recipe.kind]
    if recipe.kind == "bootstrap":
        said = said.format(distribution=recipe.distribution.capitalize(), suite=recipe.suite)
    if recipe.kind == "download":
        said = said.format(proof=_PROOFS[recipe.sums.style] if recipe.sums else "sha256")
    mark = fetched(recipe, BUILT_IN)
    return f"{said} ({mark})" if mark else said


def main(arguments: list[str]) -> int:
    """Write the table into the page below the folder that is named."""
    page = Path(arguments[0] if arguments else "docs") / "catalogue.md"
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
