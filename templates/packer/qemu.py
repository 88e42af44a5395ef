"""Packer's builder qemu."""

from __future__ import annotations

import re
from typing import Any

from templates.packer.machine import Frame, Json, Machine, data_disks, output_name
from templates.packer.notes import NOTHING
from templates.packer.reasons import QEMU
from templates.packer.section import Reason, Section
from templates.pointers import join

PUBLISHER = "packer"
# What Packer gives a machine whose template does not say (its qemu builder's reference).
_CPUS, _MEMORY_MIB = 1, 512
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50, "e": 2**60}
_SIZE = re.compile(r"(\d{1,12})\s*([kmgtpe]?)b?", re.IGNORECASE | re.ASCII)
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
_FORMATS = {"raw": "raw", "vhd": "vhd", "vhdx": "vhdx", "vmdk": "vmdk"}
_WEB = ("http://", "https://")


def read_qemu(section: Section, frame: Frame) -> Machine:
    """Source, target and machine of a qemu builder."""
    machine = Machine(_disk(section, frame) if section.boolean("disk_image") else _iso(section))
    name = output_name(section, "vm_name", frame.name)
    machine.distribute.append({"type": "VHD", "runOutputName": name})
    _size(section, machine, frame)
    why = "the result is a fixed VHD"
    section.explain("format", ("changed", why, "qemu-img convert makes another format of it"))
    why = "the VHD goes where the build is told to put it"
    section.explain("output_directory", ("changed", why, "build run --output-dir DIR"))
    section.close(QEMU)
    return machine


def _size(section: Section, machine: Machine, frame: Frame) -> None:
    if section.has("cpus") or section.has("memory"):
        cpus, memory = section.integer("cpus") or _CPUS, section.integer("memory") or _MEMORY_MIB
        size = frame.size_for(cpus, memory)
        for key in ("cpus", "memory"):
            if size is None:
                why = "no size of Azure's is as large"
                section.explain(key, ("lost", why, "choose vmProfile.vmSize yourself"))
            else:
                why = f"Azure knows sizes: {size} is the smallest with {cpus} CPUs and {memory} MiB"
                section.explain(key, ("changed", why, "vmProfile.vmSize says which"))
        if size is not None:
            machine.vm_profile["vmSize"] = size
    if section.has("disk_size"):
        wanted = _gigabytes(section, section.plain("disk_size"), section.place("disk_size"))
        if wanted and section.boolean("skip_resize_disk"):
            why = "the disk keeps the size of its source, as skip_resize_disk asks"
            section.explain("disk_size", ("implied", why, NOTHING))
        elif wanted:
            machine.vm_profile["osDiskSizeGB"] = wanted
    sizes = section.raw("disk_additional_size")
    found: list[int] = []
    for index, item in enumerate(sizes if isinstance(sizes, list) else [sizes] if sizes else []):
        place = section.place("disk_additional_size")
        place = join(place, index) if isinstance(sizes, list) else place
        text = None if isinstance(item, dict | list) else section.texts.plain(str(item), place)
        gigabytes = _gigabytes(section, text, place)
        found += [gigabytes] if gigabytes else []
    machine.properties |= data_disks(section, "disk_additional_size", found)


def _gigabytes(section: Section, text: str | None, pointer: str) -> int | None:
    """A size as qemu-img takes it, in whole GB; a plain number is megabytes."""
    match = _SIZE.fullmatch((text or "").strip())
    if match is None or not int(match[1]):
        why = "it is no size as qemu-img takes it"
        section.notes.add("lost", pointer, why, "write vmProfile.osDiskSizeGB yourself")
        return None
    size = int(match[1]) * _UNITS[(match[2] or "m").lower()]
    return -(-size // 2**30)


# -- where the image comes from -----------------------------------------------------------------


def _address(section: Section) -> tuple[str, str]:
    """`iso_url`, or the first of `iso_urls`, as it is written there, with its place; "" without one."""
    key = "iso_url" if section.has("iso_url") else "iso_urls"
    value = section.raw(key)
    place = section.place(key)
    if isinstance(value, list):
        for index in range(1, len(value)):
            why = "a source has one address; the first is taken"
            section.notes.add("lost", join(place, index), why, NOTHING)
        value, place = (value[0] if value else ""), join(place, 0)
    return value if isinstance(value, str) else "", place


def _checksum(section: Section, *, needed: bool) -> str | None:
    """The sha256, which is the only checksum we know. Takes the older `iso_checksum_type`, too."""
    kind = (section.plain("iso_checksum_type") or "sha256").casefold()
    text = section.plain("iso_checksum") or ""
    match = _SHA256.fullmatch(text) if kind == "sha256" else None
    reason: Reason = (
        "fill",
        "only the sha256 of the file itself counts here",
        "'sha256sum FILE' tells it: write it for <sha256>",
    )
    if not needed:
        reason = ("implied", "a file on this machine needs no checksum", NOTHING)
    for key in ("iso_checksum", "iso_checksum_type", "iso_checksum_url"):
        if not match or key == "iso_checksum_url":
            section.explain(key, reason)
    return match[1].lower() if match else None


def _iso(section: Section) -> Json:
    text, place = _address(section)
    why = (
        "it is an installer: Azure takes no ISO sources any more (since API 2020-02-14), and what answered "
        "it, boot_command and http_directory, has no place in a template"
    )
    advice = (
        "for Red Hat's family and Debian see docs/iso.md (x-goldsmith.kickstart); otherwise start from an "
        "image that is installed already (build marketplace list)"
    )
    section.notes.add("fill", place, why, advice)
    return {
        "type": "ISO",
        "sourceUri": section.texts.jinja(text, place, required=True) or "<sourceUri>",
        "sha256Checksum": _checksum(section, needed=True) or "<sha256>",
    }


def _disk(section: Section, frame: Frame) -> Json:
    """A name of our own in the catalogue, and the entry that has to be added there."""
    text, place = _address(section)
    url = section.texts.plain(text, place) or "<url>"
    far = url == "<url>" or url.casefold().startswith(_WEB)
    entry = _entry(section, frame.name, url, _checksum(section, needed=far))
    why = "the disk image must be in the catalogue of this machine"
    if url == "<url>":
        why += "; its address is not known before the build"
    advice = "add this entry to catalogue.json in the Goldsmith home (check its format)"
    section.notes.add("fill", place, why, advice, suggestion=entry)
    name: Json = {"publisher": PUBLISHER, "offer": frame.name, "sku": "1", "version": "latest"}
    return {"type": "PlatformImage", **name}


def _entry(section: Section, offer: str, url: str, checksum: str | None) -> dict[str, Any]:
    ending = re.split(r"[?#]", url)[0].rpartition(".")[2].casefold()
    shape = _FORMATS.get(ending, "qcow2")
    recipe: Json
    if url.casefold().startswith(_WEB) or url == "<url>":
        recipe = {"kind": "download", "url": url, "sha256": checksum or "<sha256>", "format": shape}
    else:
        recipe = {"kind": "file", "path": re.sub(r"\Afile://", "", url), "format": shape}
        if checksum:
            recipe["sha256"] = checksum
    firmware = str(section.peek("firmware") or "").casefold()
    efi = section.peek("efi_boot") in (True, "true") or "ovmf" in firmware or section.has("efi_firmware_code")
    image = {
        "publisher": PUBLISHER,
        "offer": offer,
        "sku": "1",
        "description": "The disk image of a Packer template",
        "osType": "Windows" if section.peek("communicator") == "winrm" else "Linux",
        "generation": "V2" if efi else "V1",
        "versions": {"1.0.0": recipe},
    }
    return {"format": 1, "images": [image]}
