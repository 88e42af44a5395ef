"""The NoCloud seed of packer's half: a user with a key, as Goldsmith's own seed has."""

from __future__ import annotations

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pycdlib

USER = "packer"


@dataclass(frozen=True)
class Seed:
    """A seed image and the key that opens the machine it starts."""

    iso: Path
    private_key: Path
    user: str


def make(folder: Path) -> Seed:
    """Write key and ISO into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "id_ed25519"
    if not key.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "benchmark", "-f", str(key)],
            check=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    public = key.with_suffix(".pub").read_text().strip()
    user_data = (
        "#cloud-config\n"
        "users:\n"
        f"  - name: {USER}\n"
        "    shell: /bin/bash\n"
        "    lock_passwd: true\n"
        "    sudo: ALL=(ALL) NOPASSWD:ALL\n"
        f"    ssh_authorized_keys: ['{public}']\n"
        "package_update: false\n"
        # One key is enough; making an RSA key takes a slow guest several seconds.
        "ssh_genkeytypes: [ed25519]\n"
    )
    meta_data = "instance-id: benchmark\nlocal-hostname: packer\n"
    iso = folder / "seed.iso"
    _write(iso, {"user-data": user_data, "meta-data": meta_data})
    return Seed(iso, key, USER)


def _write(path: Path, files: dict[str, str]) -> None:
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for name, text in files.items():
        data = text.encode()
        short = name.upper().replace("-", "_")[:8]
        disc.add_fp(io.BytesIO(data), len(data), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    disc.write(str(path))
    disc.close()
