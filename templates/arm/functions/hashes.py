"""`uniqueString()` and `guid()`: names that depend on nothing but their arguments."""

from __future__ import annotations

import uuid

from templates.arm.functions.registry import function
from templates.arm.functions.values import text, to_utf8
from templates.arm.syntax import Json

_GUID_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_MASK = 0xFFFF_FFFF
_C1, _C2 = 0x239B_961B, 0xAB0E_9789


@function("uniqueString", 1, None)
def _unique_string(*parts: Json) -> Json:
    """The very 13 characters that ARM makes: its variant of MurmurHash3 in base 32.

    Microsoft documents only their form; the tests hold values that Azure's own tools gave.
    """
    rest = _murmur64(to_utf8(_joined(parts, "uniqueString()")))
    result = ""
    for _ in range(13):
        result += _ALPHABET[rest >> 59]
        rest = rest << 5 & 0xFFFF_FFFF_FFFF_FFFF
    return result


@function("guid", 1, None)
def _guid(*parts: Json) -> Json:
    """ARM's GUID: a UUID of version 5 (RFC 9562) in a namespace of its own."""
    name = to_utf8(_joined(parts, "guid()")).decode()
    return str(uuid.uuid5(_GUID_NAMESPACE, name))


def _joined(parts: tuple[Json, ...], what: str) -> str:
    return "-".join(text(part, f"each argument of {what}") for part in parts)


def _murmur64(data: bytes) -> int:
    """Two 32-bit lanes over blocks of eight bytes, each lane mixed into the other."""
    low = high = 0
    whole = len(data) // 8 * 8
    for start in range(0, whole, 8):
        first = int.from_bytes(data[start : start + 4], "little")
        second = int.from_bytes(data[start + 4 : start + 8], "little")
        low = (_rotate(low ^ _mix(first, _C1, 15, _C2), 19) + high) * 5 + 0x561C_CD1B & _MASK
        high = (_rotate(high ^ _mix(second, _C2, 17, _C1), 13) + low) * 5 + 0x0BCA_A747 & _MASK
    tail = data[whole:]
    low ^= _mix(int.from_bytes(tail[:4], "little"), _C1, 15, _C2)
    high ^= _mix(int.from_bytes(tail[4:], "little"), _C2, 17, _C1)
    low, high = _crossed(low ^ len(data), high ^ len(data))
    low, high = _crossed(_avalanche(low), _avalanche(high))
    return high << 32 | low


def _mix(block: int, factor: int, bits: int, other: int) -> int:
    return _rotate(block * factor & _MASK, bits) * other & _MASK


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK


def _crossed(low: int, high: int) -> tuple[int, int]:
    low = low + high & _MASK
    return low, high + low & _MASK


def _avalanche(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EB_CA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2_AE35 & _MASK
    return value ^ value >> 16
