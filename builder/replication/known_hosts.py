"""Which SFTP servers are trusted: those of a known_hosts file. fsspec alone would trust any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import MissingHostKeyPolicy


def policy(file: str | None) -> MissingHostKeyPolicy:
    """For paramiko: the hosts of `file`, by default of ~/.ssh/known_hosts."""
    import paramiko

    where = Path(file or "~/.ssh/known_hosts").expanduser()

    class KnownHosts(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
            known = paramiko.HostKeys(str(where)) if where.is_file() else paramiko.HostKeys()
            if not known.check(hostname, key):
                raise paramiko.SSHException(
                    f"the host key of {hostname} ({key.get_name()}) is not in {where}; add it with "
                    "ssh-keyscan after you have compared it"
                )

    return KnownHosts()
