"""The explicit block graph of a disk: which files, in which format, on top of which.

Backing paths in image headers are advisory (design.md, Traps), so every QEMU and qemu-img call
gets this graph and no format is ever probed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DiskFormat = Literal["raw", "qcow2"]


@dataclass(frozen=True, slots=True)
class DiskLayer:
    """One file of the graph. `size` (bytes) cuts a raw file: a fixed VHD is `raw` with the current
    size of its footer, which hides the 512 footer bytes from the guest.
    """

    path: Path
    format: DiskFormat
    size: int | None = None


@dataclass(frozen=True, slots=True)
class BlockGraph:
    """A disk as a chain of files, the bottom first. Only the top is ever written."""

    layers: tuple[DiskLayer, ...]

    @property
    def top(self) -> DiskLayer:
        """The layer that writes go to."""
        return self.layers[-1]

    def over(self, overlay: Path) -> BlockGraph:
        """This graph with a qcow2 overlay on top."""
        return BlockGraph((*self.layers, DiskLayer(overlay, "qcow2")))

    def blockdev(self, name: str, *, read_only: bool = False) -> list[dict[str, Any]]:
        """`-blockdev` objects, bottom first; the top format node is called `name`."""
        nodes: list[dict[str, Any]] = []
        below: str | None = None
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            is_top = number == last
            node = name if is_top else f"{name}-{number}"
            nodes.append(_format_node(layer, node, below, writable=is_top and not read_only))
            below = node
        return nodes

    def json_name(self) -> str:
        """The `json:` file name that makes qemu-img open exactly this graph, read-only."""
        tree: dict[str, Any] | None = None
        for layer in self.layers:
            node: dict[str, Any] = {
                "driver": layer.format,
                "file": {"driver": "file", "filename": str(layer.path)},
            }
            if layer.size is not None:
                node["size"] = layer.size
            if layer.format == "qcow2":
                node["backing"] = tree
            tree = node
        return "json:" + json.dumps(tree)


def _format_node(layer: DiskLayer, node: str, below: str | None, *, writable: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "node-name": node,
        "driver": layer.format,
        "read-only": not writable,
        "discard": "unmap",
        # Overlays are thrown away with the workspace, so nothing is gained by waiting for the host disk.
        "cache": {"direct": False, "no-flush": writable},
        "file": {
            "driver": "file",
            "filename": str(layer.path),
            "discard": "unmap",
            "read-only": not writable,
            "cache": {"direct": False, "no-flush": writable},
        },
    }
    if writable:
        spec["detect-zeroes"] = "unmap"
    if layer.size is not None:
        spec["size"] = layer.size
    if layer.format == "qcow2":
        spec["backing"] = below
    return spec
