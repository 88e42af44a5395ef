"""How the time of reading a template grows with its size: ten times the file, at most twelve times the time.

Kinds of file: a template that is fine, one whose every step has two mistakes (so that every place is computed
and every message made), one with comments (which takes the slow pass), and a deployment full of expressions.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import templates
from templates.diagnostics import TemplateError
from templates.json_reader import parse_json

MIB = 2**20
LIMIT = 12.0
SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")


def main() -> int:
    """Measure and print. Returns 1 when something grows faster than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks/reading.py", description=__doc__)
    parser.add_argument("--small", type=float, default=1, help="MiB of the small file (default 1)")
    parser.add_argument("--times", type=int, default=10, help="how much larger the large one is (default 10)")
    parser.add_argument("--rounds", type=int, default=1, help="the best of so many counts (default 1)")
    options = parser.parse_args()
    limit = LIMIT * options.times / 10
    worst = 0.0
    print(f"{'what':34} {'small':>9} {'large':>9} {'factor':>7}   (at most {limit:.0f})")
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        for name, make, read in WORK:
            files = [Path(folder) / f"{size}.json" for size in ("small", "large")]
            for file, size in zip(files, (options.small, options.small * options.times), strict=True):
                file.write_text(make(int(size * MIB)))
            pairs = [
                (_seconds(read, files[0], options.times), _seconds(read, files[1], 1))
                for _ in range(options.rounds)
            ]
            small, large = (min(column) for column in zip(*pairs, strict=True))
            worst = max(worst, large / small)
            print(f"{name:34} {small:8.3f}s {large:8.3f}s {large / small:7.1f}")
    return 0 if worst <= limit else 1


def fine(size: int) -> str:
    """A template of about `size` bytes without a mistake."""
    return _template(size, {"type": "Shell", "name": "step", "inline": ["set -eu", 'echo "a, b"']})


def wrong(size: int) -> str:
    """The same with two mistakes in every step."""
    return _template(size, {"type": "Shell", "inlin": ["true"], "scriptUri": 3})


def commented(size: int) -> str:
    """The same with comments."""
    return fine(size).replace("\n", "//\n")


def broken_at_the_end(size: int) -> str:
    """The same without its last bracket."""
    return fine(size).rstrip().removesuffix("}")


def deployment(size: int) -> str:
    """A deployment of about `size` bytes whose steps are expressions."""
    step = {
        "type": "Shell",
        "name": "[variables('name')]",
        "inline": ["[concat('echo ', parameters('word'))]"],
    }
    resource = json.loads(_template(size, step))
    head = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"word": {"type": "string", "defaultValue": "word"}},
        "variables": {"name": "[toUpper(parameters('word'))]"},
    }
    return json.dumps({**head, "resources": [resource]}, indent=1)


def _template(size: int, step: Mapping[str, object]) -> str:
    head = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "large",
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "source": {
                "type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"
            },
            "distribute": [{"type": "VHD", "runOutputName": "out"}],
            "customize": [],
        },
    }  # fmt: skip
    one = json.dumps(step, indent=2)
    text = json.dumps(head, indent=2)
    return text.replace("[]", "[" + ",\n".join([one] * (size // len(one))) + "]")


def parse(file: Path) -> object:
    """Only the JSON."""
    try:
        return parse_json(file.read_text(), str(file))
    except TemplateError as error:
        return error


def read(file: Path) -> object:
    """Everything: JSON, expressions, checks, messages."""
    try:
        return templates.read(file, defaults=SCOPE)
    except TemplateError as error:
        return error


WORK: list[tuple[str, Callable[[int], str], Callable[[Path], object]]] = [
    ("JSON, fine", fine, parse),
    ("JSON, with comments", commented, parse),
    ("JSON, broken at the end", broken_at_the_end, parse),
    ("template, fine", fine, read),
    ("deployment, fine", deployment, read),
    ("template, two mistakes a step", wrong, read),
]


def _seconds(action: Callable[[Path], object], file: Path, times: int) -> float:
    """CPU time of one reading: the mean of `times`, so that small and large files take equally long to
    measure, and what else the machine does hurts both alike.

    What was read is kept meanwhile: the small file, too, is read into memory that is new, as it is when
    the command reads it. Memory that is used again would make it look faster than it is.
    """
    start = time.process_time()
    kept = [action(file) for _ in range(times)]
    return (time.process_time() - start) / len(kept)


if __name__ == "__main__":
    sys.exit(main())
