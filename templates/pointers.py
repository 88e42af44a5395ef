"""JSON pointers (RFC 6901): how the reader names a place inside a document."""

from __future__ import annotations


def join(pointer: str, *parts: str | int) -> str:
    """`pointer` extended by keys or indexes, escaped as RFC 6901 asks."""
    for part in parts:
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer


def parts(pointer: str) -> list[str]:
    """The keys and indexes of `pointer`, unescaped."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def parent(pointer: str) -> str:
    """The pointer one level up; the document itself has none and stays `""`."""
    return pointer.rpartition("/")[0]


def last(pointer: str) -> str:
    """The last key or index, unescaped."""
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def is_under(pointer: str, ancestor: str) -> bool:
    """Whether `pointer` is `ancestor` or lies below it."""
    return pointer == ancestor or pointer.startswith(ancestor + "/")
