"""What people are told of a look at a schedule."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from builder.errors import NotFoundError
from builder.notify.notice import Event, Notice

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.schedule.scheduler import Look

# Characters of a message: an environment, a chat and a subject take so many; the run's record has it all.
_MOST = 2000


def notice_of(registry: Registry, look: Look) -> Notice | None:
    """The notice; None when there is nothing to tell: nothing was due, or somebody stopped it."""
    event = event_of(look)
    if event is None or look.ended is None:
        return None
    try:
        template = registry.find_schedule(look.name).template
    except NotFoundError:
        template = "(its schedule was removed meanwhile)"
    return Notice(
        event=event,
        schedule=look.name,
        template=template,
        host=socket.gethostname(),
        run_id=look.ended.run_id,
        message=(look.ended.message or look.detail)[:_MOST],
    )


def event_of(look: Look) -> Event | None:
    """Which event a look is, if any."""
    if look.ended is None:
        return None
    if look.recovered:
        return "recovered"
    known: dict[str, Event] = {
        "failed": "failed",
        "deactivated": "deactivated",
        "succeeded": "succeeded",
        "partiallysucceeded": "partial",
    }
    return known.get(look.action)
