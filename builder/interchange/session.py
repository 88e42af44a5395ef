"""What a verb needs that works on disks without a build: services, faces, and an orderly end by Ctrl-C."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from builder.cancellation import Interrupted, cancel_on_signals
from builder.deadline import Deadline
from builder.errors import CancelledError
from builder.services import Services
from builder.settings import Home, load_settings

LIMIT_SECONDS = 960 * 60.0
"""As long as the longest build may take."""


@contextmanager
def session(kind: str, *, plain: bool = False, quiet: bool = False) -> Iterator[Services]:
    """Services for one piece of work; progress and warnings go to stderr. `run_id` begins with `kind`.

    Raises CancelledError for a signal, after everything inside is undone.
    """
    from builder.ui.choose import open_sinks

    home = Home()
    home.ensure()
    run_id = f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    limit = Deadline(LIMIT_SECONDS, what=f"the limit of '{kind}'")
    services = Services.of(home, load_settings(home), limit, run_id=run_id)
    with open_sinks(plain=plain, quiet=quiet, stdout=sys.stderr) as sinks:
        for sink in sinks:
            services.bus.add_sink(sink)
        try:
            with cancel_on_signals():
                yield services
        except Interrupted as signal:
            raise CancelledError(f"Stopped by {signal.signal_name}; what was half made is gone.") from None
