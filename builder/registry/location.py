"""Where a copy lies: the path of its OS disk, or a URL. Other files of it lie beside that."""

from __future__ import annotations

import re

_FILE = re.compile(r"[^/]+/[^/]+/\d+\.\d+\.\d+/(\.os(-\w+)*\.vhd\.part|os(-\w+)*\.vhd)", re.ASCII)


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


def below_place(location: str) -> str:
    """Gallery, definition, number and file: what stays of it when its place gets another name.

    >>> below_place("/mnt/west/team/web/1.0.0/os.vhd")
    'team/web/1.0.0/os.vhd'
    """
    return "/".join(location.rsplit("/", 4)[1:])


def is_file_of_copy(inner: str) -> bool:
    """Whether what lies at `inner` in a place has the name of a copy's file, whole or half made. Whoever
    gives a region a folder may have other disks in it.

    >>> is_file_of_copy("team/web/1.0.0/os-2-lun0.vhd"), is_file_of_copy("backup/web.vhd")
    (True, False)
    """
    return _FILE.fullmatch(inner) is not None


def _with(location: str, suffix: str) -> str:
    stem, _, extension = location.rpartition(".")
    return f"{stem}-{suffix}.{extension}"
