"""`build shell`: look inside a kept machine, or inside an image without changing it."""

from __future__ import annotations

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
    from builder.services import Services
    from builder.shell import open_shell
    from builder.ui.choose import open_sinks

    home = Home()
    home.check()
    settings = load_settings(home)
    services = Services.of(home, settings, Deadline(settings.boot_timeout, what="boot_timeout"))
    with open_sinks(events=None, plain=True, quiet=False) as sinks:
        for sink in sinks:
            services.bus.add_sink(sink)
        code = open_shell(what, services)
    raise typer.Exit(code)
