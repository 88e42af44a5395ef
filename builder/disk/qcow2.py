"""The header of a qcow2 file, read by ourselves before any program that would follow it.

Layout: QEMU's docs/interop/qcow2.rst. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from builder.disk.found import Damaged, Found, Refused

MAGIC = b"QFI\xfb"
_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_CORRUPT, _DATA_FILE = 1 << 1, 1 << 2
_KNOWN_FEATURES = 0b11111
_DATA_FILE_NAME = 0x44415441
_MAX_SIZE = 1 << 62


def read_qcow2(file: BinaryIO, file_size: int) -> Found | None:
    """What the header promises; None when there is none.

    Raises Damaged when it cannot be true, Refused when the file needs another one to be whole: what a
    header names would be opened, whatever it is.
    """
    file.seek(0)
    head = file.read(_V2.size + _V3.size)
    if head[:4] != MAGIC:
        return None
    if len(head) < _V2.size:
        raise Damaged("it ends within its header")
    (
        _magic, version, backing_at, _backing_length, cluster_bits, size, crypt,
        l1_size, l1_at, refcounts_at, refcount_clusters, _snapshots, _snapshots_at,
    ) = _V2.unpack_from(head)  # fmt: skip
    if version not in (2, 3):
        raise Damaged(f"its version {version} is unknown")
    if backing_at:
        raise Refused(
            "it is an overlay: it needs another file below it",
            "Make it whole: qemu-img convert -O qcow2 OVERLAY whole.qcow2",
        )
    if not 9 <= cluster_bits <= 21 or not 0 < size < _MAX_SIZE:
        raise Damaged(f"clusters of 2^{cluster_bits} bytes and a disk of {size} bytes cannot be")
    cluster = 1 << cluster_bits
    tables = ((l1_at, l1_size * 8), (refcounts_at, refcount_clusters * cluster))
    if any(at % cluster or at + length > file_size + cluster for at, length in tables):
        raise Damaged("its tables lie outside of the file")
    if l1_size * (cluster // 8) * cluster < size:
        raise Damaged("its tables are too small for its disk")
    if crypt:
        raise Refused("it is encrypted", "Decrypt it: qemu-img convert with its key, to a new file.")
    if version == 3:
        _check_features(file, head, cluster)
    return Found("qcow2", "", size)


def _check_features(file: BinaryIO, head: bytes, cluster: int) -> None:
    if len(head) < _V2.size + _V3.size:
        raise Damaged("it ends within its header")
    incompatible, _compatible, _autoclear, _order, length = _V3.unpack_from(head, _V2.size)
    if not _V2.size + _V3.size <= length <= cluster:
        raise Damaged(f"its header has {length} bytes")
    if incompatible & _DATA_FILE or _DATA_FILE_NAME in _extensions(file, length, cluster):
        raise Refused(
            "its data is in another file", "Make it whole: qemu-img convert -O qcow2 IMAGE whole.qcow2"
        )
    if incompatible & _CORRUPT:
        raise Refused("it is marked as corrupt", "Repair a copy of it: qemu-img check -r all COPY")
    if incompatible & ~_KNOWN_FEATURES:
        raise Refused("it has features that are not known here", "Convert it with the QEMU that made it.")


def _extensions(file: BinaryIO, at: int, end: int) -> set[int]:
    """The kinds of header extensions; they lie between the header and the end of the first cluster."""
    kinds: set[int] = set()
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        kind, length = struct.unpack(">II", head)
        if kind == 0:
            break
        kinds.add(kind)
        at += 8 + -(-length // 8) * 8
    return kinds
