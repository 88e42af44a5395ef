"""What the two halves of the ISO source agree on.

The front half (sources/iso.py, media.py, kickstart.py, answers.py) reads the medium, writes the answers and
ends with an `Installation`. The back half (install.py) boots it, follows the serial console, and says
with an `Installed` what came of it. Debian's answers are preseed.py's.

What lies on the answers' disk: ks.cfg, which holds no secret, and what it (or a user's own kickstart) takes
from there: enter.sh, a script that lets the build user into the new system (`sh enter.sh /mnt/sysimage`),
with its files build-user.pub and host_key; `subscription` (organization and activation key, a line each).

On the serial console (ttyS0) the answers say where they are, one line each, `MARKER` and then:

    begun                     the installer took our answers (%pre, early_command)
    installed                 the packages are in the new system (start of %post, late_command)
    warning TEXT              the system is usable, but lacks something; goes into `Installed.warnings`
    has TEXT                  something a later stage asks for is there; goes into `Installed.has`
    failed TEXT               the new system is not usable: the installation failed, with this text
    configured                everything was done; only power-off follows
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from builder.sources.base import Generation

Family = Literal["anaconda", "debian"]
"""Whose installer is on the medium: Red Hat's and its kin, or Debian's."""

MARKER = "GOLDSMITH:"
HAS_CLOUD_INIT = "cloud-init"
"""`has cloud-init`: the base takes a NoCloud seed. Without it only its own key leads in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the installed system shall be, whichever installer makes it.

    `user` is the build user, let in by `public_key` alone, with sudo and no password. The host key is
    given so that nobody has to believe the first one seen; all three go when the image is generalized.
    `packages` beside those that Azure needs. `host_private_key` is a secret.
    """

    generation: Generation
    user: str
    public_key: str
    host_private_key: str = field(repr=False)
    host_public_key: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Installation:
    """One unattended installation, ready to boot.

    `kernel` and `initrd` were taken out of the medium. `command_line` holds no secret. `medium` is the
    ISO itself, attached read-only as the first CD. `answers` is a second small ISO (CD too) labelled
    OEMDRV, mode 0600, removed by whoever made it when `install` returns or raises; None for Debian, whose
    preseed.cfg is in the initrd already. The disk is the only one, virtio. `disk_size` in bytes,
    `time_limit` in seconds for the whole of it. `marked`: our answers, which say the markers; without
    `configured` a power-off is a failure then. A user's own kickstart says what it likes and counts as
    done when the guest is off.
    """

    name: str
    """For messages: `Red Hat Enterprise Linux 8.4`."""
    family: Family
    os_variant: str
    """As libosinfo spells it: rhel8.4, almalinux9, centos7.0, debian12."""
    kernel: Path
    initrd: Path
    command_line: str
    medium: Path
    answers: Path | None
    generation: Generation
    disk_size: int
    memory_mib: int
    cpus: int
    time_limit: float
    marked: bool = True


@dataclass(frozen=True, slots=True)
class Installed:
    """What the installer said of the system it left."""

    has: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
