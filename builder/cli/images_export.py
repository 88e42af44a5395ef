"""`build images export`: an image as a file of any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json
from builder.interchange.kind import ExportFormat

_EPILOG = examples(
    "build images export web-image web.vhdx",
    "build images export mygallery/web/latest web.qcow2 --checksum",
    "build images export web-image web.vhd.zst --force --json",
)


def register(app: typer.Typer) -> None:
    """Add the verb to `build images`."""
    app.command(epilog=_EPILOG)(export)


def export(
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="A managed image, or GALLERY/DEFINITION/VERSION, or an ARM id."),
    ],
    file: Annotated[Path, typer.Argument(help="Its endings say format and compression: web.vhd.zst.")],
    *,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Default: by the ending of FILE; vhd is a fixed one."),
    ] = None,
    compress: Annotated[
        Literal["zstd", "zlib", "xz", "none"] | None,
        typer.Option(
            help="Inside of qcow2 and vmdk where they can, else the whole file. Default: qcow2 only."
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", "-r", help="A version's copy in this one.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Write FILE.sha256, too, as sha256sum reads it.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live display.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors and the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Export an image as VHD, VHDX, qcow2, raw or VMDK; data disks go beside it: web-lun0.vhd.

    A file appears whole under its name, or not at all.
    """
    from builder.as_json import to_json
    from builder.interchange.copying import finished_of
    from builder.interchange.export import export as export_image
    from builder.interchange.kind import kind_of
    from builder.interchange.session import session

    kind, place = kind_of(file, format_, compress)
    with session("export", plain=plain, quiet=quiet or json) as services:
        source, found = finished_of(services, image, region)
        files = export_image(found, place, kind, services, force=force, checksum=checksum)
    if json:
        print_json({"source": source, "kind": to_json(kind), "files": to_json(files)})
        return
    for one in files:
        typer.echo(f"{one.path}  {human_size(one.size)}, a disk of {human_size(one.virtual_size)}")
