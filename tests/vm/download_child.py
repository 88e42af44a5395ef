"""A process of its own that downloads: URL, destination, and how large its files may become (0: any)."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from builder.deadline import Deadline
from builder.download import transfer
from builder.download.fetch import fetch
from builder.download.network import Network
from builder.errors import GoldsmithError
from builder.events import EventBus
from builder.redact import Redactor


def main(url: str, dest: str, limit: str) -> int:
    transfer.PARALLEL_FROM = 1024 * 1024
    transfer._SAVE_SECONDS = 0.2
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        fetch(url, Path(dest), deadline=Deadline(60), bus=EventBus(Redactor()), network=Network())
    except GoldsmithError as error:
        sys.stdout.write("\n".join([error.message, *error.details, error.hint or ""]))
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
