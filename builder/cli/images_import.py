"""`build images import`: a disk from elsewhere becomes a managed image, or a gallery version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json
from builder.errors import UsageError
from builder.sources.base import Generation, OsType

if TYPE_CHECKING:
    from builder.interchange.importing import Incoming
    from builder.interchange.looks import Looks
    from builder.services import Services

_EPILOG = examples(
    "build images import web.vhdx --name web",
    "build images import disk.qcow2 --name web --replace --data-disk 0=data.qcow2",
    "build images import disk.raw --format raw --name web --generation V2 --os-type Linux",
    "build images import machine.vhd --os-state Specialized --to mygallery/machines/1.0.0",
)
_MOST_LUNS = 64
_LUN = re.compile("[0-9]{1,4}")

Format = Literal["vhd", "vhdx", "qcow2", "raw", "vmdk"]


def register(app: typer.Typer) -> None:
    """Add the verb to `build images`."""
    app.command("import", epilog=_EPILOG)(import_)


def import_(
    file: Annotated[
        Path, typer.Argument(help="VHD, VHDX, qcow2, raw or VMDK; also as .gz, .xz, .zst, .bz2.")
    ],
    *,
    name: Annotated[str, typer.Option(help="Name of the managed image.")] = "",
    arm_id: Annotated[str, typer.Option("--id", metavar="ID", help="Or its ARM id.")] = "",
    to: Annotated[
        str, typer.Option(metavar="GALLERY/DEFINITION[/x.y.z]", help="Or a gallery version instead of it.")
    ] = "",
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", help="Default: the setting resource_group.")
    ] = None,
    location: Annotated[
        str | None, typer.Option("--location", "-l", help="Default: the setting location.")
    ] = None,
    os_type: Annotated[OsType | None, typer.Option(help="Default: what the disk looks like.")] = None,
    generation: Annotated[
        Generation | None, typer.Option(help="V1 BIOS, V2 UEFI. Default: by the partition table.")
    ] = None,
    os_state: Annotated[
        Literal["Generalized", "Specialized"],
        typer.Option(help="Specialized: it keeps its name and accounts; needs --to."),
    ] = "Generalized",
    format_: Annotated[
        Format | None, typer.Option("--format", help="Of all files; a raw disk may need it.")
    ] = None,
    data_disk: Annotated[
        list[str] | None, typer.Option(metavar="LUN=FILE", help="A data disk and its number, from 0.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an image of that id.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live display.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors and the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import a disk as a managed image: converted to a sparse fixed VHD, and looked at.

    Generation and operating system are told by what is on the disk, unless you say them; a disk that does not
    look generalized is imported with a warning.
    """
    from builder.interchange.importing import Incoming
    from builder.interchange.session import session

    if sum(map(bool, (name, arm_id, to))) != 1:
        raise UsageError("Say what it becomes: one of --name, --id and --to.")
    if to and replace:
        raise UsageError("A version is never replaced.", hint="Name another one, or no number.")
    if os_state == "Specialized" and not to:
        raise UsageError(
            "A managed image is generalized; a specialized disk can only be a gallery version.",
            hint="Name a definition with osState Specialized: --to GALLERY/DEFINITION.",
        )
    incoming = Incoming(file, data_disks_of(data_disk or []), format_, os_type, generation, os_state)
    with session("import", plain=plain, quiet=quiet or json) as services:
        if to:
            _as_version(incoming, to, services, json=json)
        else:
            group = resource_group or services.settings.resource_group
            wanted = arm_id or _id_of(name, group, services)
            _as_image(incoming, wanted, services, location=location or "", replace=replace, json=json)


def data_disks_of(given: list[str]) -> dict[int, Path]:
    """`0=data.vhd` by number. Raises UsageError."""
    found: dict[int, Path] = {}
    for text in given:
        lun, sign, file = text.partition("=")
        if not sign or not file or not _LUN.fullmatch(lun) or int(lun) >= _MOST_LUNS:
            raise UsageError(f"--data-disk {text}: write LUN=FILE, such as 0=data.vhd; luns go up to 63.")
        if int(lun) in found:
            raise UsageError(f"--data-disk: there are two disks with lun {int(lun)}.")
        found[int(lun)] = Path(file)
    return found


def _id_of(name: str, group: str, services: Services) -> str:
    from builder.registry.rules import check_image_name
    from templates.arm_id import MANAGED_IMAGE_TYPE, ResourceId

    check_image_name(name)
    provider, kind = MANAGED_IMAGE_TYPE.split("/")
    return str(ResourceId(services.settings.subscription_id, group, provider, (kind,), (name,)))


def _as_image(
    incoming: Incoming, arm_id: str, services: Services, *, location: str, replace: bool, json: bool
) -> None:
    from builder.as_json import to_json
    from builder.interchange.importing import import_image

    done = import_image(incoming, arm_id, services, location=location, may_replace=replace)
    if json:
        print_json({"image": to_json(done.image), "cameAs": done.came_as, "looks": to_json(done.looks)})
        return
    image = done.image
    typer.echo(f"Imported {image.id}")
    _tell(done.looks, image.size, image.size_on_disk, image.digest)


def _as_version(incoming: Incoming, to: str, services: Services, *, json: bool) -> None:
    from builder.as_json import to_json
    from builder.interchange.copying import parse_target
    from builder.interchange.importing import import_version
    from builder.publish import Wanted

    wanted = Wanted(definition=parse_target(services.registry, to))
    version, taken = import_version(incoming, wanted, services)
    if json:
        print_json({"version": to_json(version), "cameAs": taken.came_as, "looks": to_json(taken.looks)})
        return
    main = version.replica()
    typer.echo(f"Imported {version.id}")
    _tell(taken.looks, version.size, main.size_on_disk if main else 0, version.digest)


def _tell(looks: Looks, size: int, on_disk: int, digest: str) -> None:
    from builder.cli.images import print_facts

    print_facts(
        ("OS", f"{looks.os_type} ({looks.os_why})"),
        ("Generation", f"{looks.generation} ({looks.generation_why})"),
        ("Size", f"{human_size(size)}, {human_size(on_disk)} on disk"),
        ("Content", digest),
    )
