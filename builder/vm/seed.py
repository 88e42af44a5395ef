"""The cloud-init NoCloud seed: an ISO that gives the guest its build user and its SSH host key."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.sources.base import OsType
from builder.vm.access import BuildAccess

VOLUME_ID = "cidata"  # how NoCloud finds its seed

# QEMU's user network is always the same (its manual, "Network emulation").
_ADDRESS, _GATEWAY, _RESOLVER = "10.0.2.15/24", "10.0.2.2", "10.0.2.3"
BUILD_MAC = "52:54:00:67:6f:6c"
"""The build VM's network card; generalize proves that no file of the image names it."""


def new_instance_id() -> str:
    """A fresh instance-id: cloud-init sets a guest up once for each."""
    return f"goldsmith-{uuid.uuid4()}"


def meta_data(instance_id: str) -> str:
    """NoCloud's meta-data. No local-hostname: the image keeps its own."""
    return f"instance-id: {instance_id}\n"


def user_data(access: BuildAccess, *, grow: bool = True, dhcp: bool = True) -> str:
    """The cloud-config of a build VM. JSON is YAML, so nothing needs quoting rules of its own."""
    config: dict[str, Any] = {
        "users": [
            {
                "name": access.user,
                "gecos": "Goldsmith build user",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [access.client_key.public],
            }
        ],
        # Given keys are written before sshd starts and keep cloud-init from generating any: the client
        # can require this one, and no time goes into RSA primes under emulation.
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": access.host_key.private,
            "ed25519_public": access.host_key.public,
        },
        "ssh_genkeytypes": ["ed25519"],
        "ssh": {"emit_keys_to_console": False},
        "no_ssh_fingerprints": True,
        "disable_root": True,
        "preserve_hostname": True,
        "package_update": False,
        "package_upgrade": False,
        # Otherwise cloud-init replaces the image's own package sources by its distribution's default.
        "apt": {"preserve_sources_list": True},
        "growpart": {"mode": "auto", "devices": ["/"], "ignore_growroot_disabled": False},
        "resize_rootfs": True,
        # What a build VM needs and no more: every other module costs an emulated guest its import.
        "cloud_init_modules": [
            *(() if dhcp else ("write-files",)),
            *(("growpart", "resizefs") if grow else ()),
            *("users-groups", "ssh"),
        ],
        "cloud_config_modules": [],
        "cloud_final_modules": [],
    }
    if not dhcp:
        # What dhclient's script would write; ifupdown alone does nothing about names.
        text = f"nameserver {_RESOLVER}\n"
        config["write_files"] = [{"path": "/etc/resolv.conf", "content": text, "permissions": "0644"}]
    return "#cloud-config\n" + json.dumps(config, indent=1) + "\n"


def network_config(mac: str = BUILD_MAC, *, dhcp: bool = True) -> str:
    """Our card, called eth0 as on Azure whatever the image would name it.

    Without `dhcp` it has the address that QEMU's user network would give it: asking for it takes an
    emulated guest several seconds, since a client, a shell and their helpers start for it.
    """
    card: dict[str, Any] = {"match": {"macaddress": mac}, "set-name": "eth0"}
    if dhcp:
        card["dhcp4"] = True
    else:
        card.update(addresses=[_ADDRESS], gateway4=_GATEWAY, nameservers={"addresses": [_RESOLVER]})
    return json.dumps({"version": 2, "ethernets": {"eth0": card}}, indent=1) + "\n"


def write_seed(
    target: Path,
    access: BuildAccess,
    *,
    instance_id: str | None = None,
    grow: bool = True,
    dhcp: bool = True,
    os_type: OsType = "Linux",
) -> Path:
    """Write the seed ISO to `target` (mode 0600: it holds the guest's private host key).

    With `grow` the root partition and file system take what room the disk has left. `dhcp`: see
    `network_config`.
    """
    identity = meta_data(instance_id or new_instance_id())
    if os_type == "Windows":
        from builder.vm.windows_seed import seed_files

        return write_iso(target, seed_files(access, identity))
    return write_iso(
        target,
        {
            "meta-data": identity,
            "user-data": user_data(access, grow=grow, dhcp=dhcp),
            "network-config": network_config(dhcp=dhcp),
            "vendor-data": "",
        },
    )


def write_iso(target: Path, contents: Mapping[str, str], *, label: str = VOLUME_ID) -> Path:
    """An ISO 9660 image with Rock Ridge and Joliet names, readable by its owner only."""
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, rock_ridge="1.09", joliet=3)
    for number, (name, text) in enumerate(contents.items()):
        data = text.encode()
        iso.add_fp(
            io.BytesIO(data),
            len(data),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
        )
    target.touch(mode=0o600)
    iso.write(str(target))
    iso.close()
    return target
