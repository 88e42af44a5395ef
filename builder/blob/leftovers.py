"""Unfinished uploads whose process is gone: 'build gc' takes their blobs away."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from builder.blob.note import Begun, Note, notes
from builder.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.settings import Home, Settings


@dataclass(frozen=True, slots=True)
class Leftover:
    """What became of one; `gone` False when it could not go, and `reason` says why."""

    uri: str
    reason: str
    gone: bool


def clear_away(
    home: Home, settings: Settings, keep_seconds: float, *, dry_run: bool = False
) -> Iterator[Leftover]:
    """Delete the blobs of uploads that died, and put back what they replaced. What was kept on purpose stays
    for `keep_seconds`; so long we try, too, where we cannot sign in (a SAS token is never written down).
    """
    for note in notes(home):
        if not note.lock.try_acquire(by="gc"):
            continue  # it is under way
        try:
            begun, _ = note.read()
            if begun is None:
                if not dry_run:
                    note.delete()
                continue
            is_old = _age(begun) > keep_seconds
            if begun.kept and not is_old:
                continue
            yield _one(note, begun, settings, is_old=is_old, dry_run=dry_run)
        finally:
            with suppress(OSError):
                note.lock.release()


def _one(note: Note, begun: Begun, settings: Settings, *, is_old: bool, dry_run: bool) -> Leftover:
    reason = f"its upload, begun {begun.started}, is gone"
    if dry_run:
        return Leftover(begun.uri, reason, gone=True)
    try:
        _take_away(begun, settings)
    except (GoldsmithError, OSError) as error:
        if not is_old:
            return Leftover(begun.uri, f"the unfinished blob is still there: {error}", gone=False)
        reason = f"not tried any more, delete the blob itself: az storage blob delete ({error})"
    note.delete()
    return Leftover(begun.uri, reason, gone=True)


def _take_away(begun: Begun, settings: Settings) -> None:
    from builder.blob.address import BlobAddress
    from builder.blob.client import require_storage
    from builder.blob.credentials import choose
    from builder.blob.errors import explained
    from builder.blob.undo import take_away
    from builder.download.errors import OfflineError

    if settings.offline:
        raise OfflineError("offline nothing is deleted elsewhere")
    require_storage()
    address = BlobAddress.parse(begun.uri, insecure=True)
    sign_in = choose(address, os.environ)
    with explained(address, sign_in.how):
        take_away(address, sign_in, settings, begun)


def _age(begun: Begun) -> float:
    try:
        return time.time() - datetime.fromisoformat(begun.started).timestamp()
    except ValueError:
        return float("inf")
