"""When cloud-init is done with a guest that was booted with our seed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from builder.events import EventBus

if TYPE_CHECKING:
    from provisioners.guest import Guest

SECONDS = 300.0
_LOOK_SECONDS = 60.0
_POLL_SECONDS = 0.3
# Asking cloud-init itself starts a Python interpreter, which costs an emulated guest two seconds.
_LOOK = """
command -v cloud-init >/dev/null 2>&1 || exit 1
[ -d /run/cloud-init ] && [ ! -e /run/cloud-init/disabled ] || exit 1
cat /run/cloud-init/status.json 2>/dev/null || cat /run/cloud-init/result.json 2>/dev/null || echo '{}'
"""


def await_cloud_init(guest: Guest, timeout: float, bus: EventBus) -> None:
    """Wait until cloud-init's init stage is over, at most `timeout` seconds and five minutes.

    That stage does all our seed asks for: disk, user, keys. The seed leaves the later two empty, so
    what still runs of them changes nothing and is not waited for (eight seconds under emulation).
    """
    end = time.monotonic() + min(timeout, SECONDS)
    while True:
        result = guest.run(["sh", "-c", _LOOK], timeout=_LOOK_SECONDS)
        if result.exit_code:
            return
        errors = stage_errors(result.stdout or "")
        if errors is not None:
            break
        if time.monotonic() >= end:
            bus.warn("cloud-init is not done with the guest; going on without it.", code="CloudInit")
            return
        time.sleep(_POLL_SECONDS)
    if errors:
        bus.warn(f"cloud-init reports problems in the guest: {'; '.join(errors)}", code="CloudInit")


def stage_errors(text: str) -> list[str] | None:
    """What status.json, or result.json, says went wrong so far; None while the init stage goes on."""
    try:
        report: Any = json.loads(text).get("v1", {})
        init = report.get("init")
        if init is None:  # result.json: everything is over
            return [str(error) for error in report["errors"]] if "errors" in report else None
        if not init.get("finished"):
            return None
        return [
            str(error) for part in (report.get("init-local", {}), init) for error in part.get("errors", [])
        ]
    except (ValueError, AttributeError, TypeError):  # read while it was written
        return None
