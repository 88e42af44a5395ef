"""`build images upload`: an image to a storage account."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.blob.by_hand import Disk
    from builder.cli.images_verify import Asked

_EPILOG = examples(
    "build images upload web-image https://ACCOUNT.blob.core.windows.net/vhds/web.vhd",
    "build images upload mygallery/web/1.0.3 https://ACCOUNT.blob.core.windows.net/vhds/ --json",
    "build images upload out/web.vhd 'https://ACCOUNT.blob.core.windows.net/vhds/?sp=rcwd&...&sig=...'",
    "build images upload foreign.vhd https://ACCOUNT.blob.core.windows.net/vhds/ --waive serial-console",
)


def register(app: typer.Typer) -> None:
    """Add the verb to `build images`."""
    app.command(epilog=_EPILOG)(upload)


def upload(
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="A fixed VHD, a managed image, or GALLERY/DEFINITION/VERSION."),
    ],
    url: Annotated[str, typer.Argument(metavar="URL", help="The blob, or a container or folder for it.")],
    *,
    waive: Annotated[
        list[str] | None,
        typer.Option("--waive", metavar="RULE", help="A rule of the VHD gate it may break; may be repeated."),
    ] = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="Whether Azure would take it is not asked.")
    ] = False,
    on_error: Annotated[
        str, typer.Option(help="cleanup, or keep what was sent so that the next upload goes on")
    ] = "cleanup",
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live display.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors and the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Upload an image to an Azure storage account, as page blobs: only what its disks hold.

    Signs in with a SAS token in URL, AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or
    AZURE_STORAGE_SAS_TOKEN, or as azure-identity finds (az login, a managed identity). What is there already
    is not sent again. Data disks go beside it: web-lun0.vhd.

    The VHD gate looks at it before (docs/gate.md).
    """
    from dataclasses import replace

    from builder.blob.by_hand import upload_by_hand
    from builder.cli import images_verify
    from builder.gate.gate import require_names

    if on_error not in ("cleanup", "keep"):
        raise UsageError(f"--on-error {on_error}: choose cleanup or keep.")
    require_names(waive or ())
    asked = replace(images_verify.find(image), waived=tuple(waive or ()))
    name = Path(image).stem if not asked.registered else image.rstrip("/").rpartition("/")[2]
    done = upload_by_hand(
        _disks(asked),
        url,
        name=f"{name}.vhd",
        check=None if no_gate else partial(images_verify.require_gate, asked),
        keep=on_error == "keep",
        plain=plain,
        quiet=quiet or json,
    )
    if json:
        print_json({"uploaded": done})
        return
    for one in done:
        sent = "nothing was sent" if one.present else f"{human_size(one.sent)} sent"
        typer.echo(f"{one.uri}  {human_size(one.size)} virtual, {human_size(one.stored)} stored, {sent}")


def _disks(asked: Asked) -> list[Disk]:
    from builder.blob.by_hand import Disk
    from builder.disk.extents import content_digest
    from builder.disk.vhd import check_fixed_vhd

    if not asked.registered:
        size = check_fixed_vhd(asked.path).virtual_size
        return [Disk(asked.path, partial(content_digest, asked.path, size))]
    beside = [Disk(disk.path, partial(str, disk.digest), disk.lun) for disk in asked.data_disks]
    return [Disk(asked.path, partial(str, asked.digest)), *beside]
