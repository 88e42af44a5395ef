"""`build shell`: look inside a kept machine, or inside an image without changing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.settings import Home, load_settings

EPILOG = """
Examples:

  build shell latest

  build shell /subscriptions/.../providers/Microsoft.Compute/images/quickstart
"""


def shell(
    what: Annotated[
        str, typer.Argument(help="a run that was kept (id, prefix or 'latest'), or the ARM id of an image")
    ],
) -> None:
    """Boot a kept machine, or a throw-away overlay of an image, and open a shell in it."""
    from builder.deadline import Deadline
    from builder.events import EventBus
    from builder.redact import Redactor
    from builder.services import Services
    from builder.shell import open_shell
    from builder.ui.choose import open_sinks

    home = Home()
    home.check()
    redactor = Redactor()
    bus = EventBus(redactor)
    settings = load_settings(home)
    deadline = Deadline(settings.boot_timeout, what="boot_timeout")
    services = Services(home, settings, bus, redactor, deadline, Path.cwd(), Path.cwd())
    with open_sinks(events=None, plain=True, quiet=False) as sinks:
        for sink in sinks:
            bus.add_sink(sink)
        code = open_shell(what, services)
    raise typer.Exit(code)
