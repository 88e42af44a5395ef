"""Where a copy lies: the path of its OS disk, or a URL. Other files of it lie beside that."""

from __future__ import annotations


def is_url(location: str) -> bool:
    """Whether it is a URL, not a path."""
    return "://" in location


def numbered(location: str, number: int) -> str:
    """Where the copy `number` of a version lies whose first one is at `location`.

    >>> numbered("s3://images/web/1.0.0/os.vhd", 2)
    's3://images/web/1.0.0/os-2.vhd'
    """
    return location if number == 1 else _with(location, str(number))


def first_of(location: str, number: int) -> str:
    """Where the first copy lies (or lay) whose copy `number` is at `location`.

    >>> first_of("/mnt/west/web/os-2.vhd", 2)
    '/mnt/west/web/os.vhd'
    """
    stem, _, extension = location.rpartition(".")
    return location if number == 1 else f"{stem.removesuffix(f'-{number}')}.{extension}"


def disk_of(location: str, lun: int | None) -> str:
    """Where a data disk lies whose OS disk is at `location`; that itself without a `lun`.

    >>> disk_of("/mnt/west/web/os-2.vhd", 0)
    '/mnt/west/web/os-2-lun0.vhd'
    """
    return location if lun is None else _with(location, f"lun{lun}")


def folder_of(location: str) -> str:
    """The folder it lies in."""
    return location.rpartition("/")[0]


def _with(location: str, suffix: str) -> str:
    stem, _, extension = location.rpartition(".")
    return f"{stem}-{suffix}.{extension}"
