"""What can go wrong with the virtual machine itself."""

from __future__ import annotations

from builder.errors import BuildError
from provisioners.guest import GuestError


class MachineError(BuildError):
    """QEMU ended, the guest crashed, or it never became usable."""

    code = "MachineFailed"


class MachineTimeoutError(MachineError):
    """The machine did not get where it should within its time."""

    code = "MachineTimeout"


class AcceleratorError(MachineError):
    """KVM gave up on a guest, or the guest makes no progress under it.

    The caller boots again with `accelerator.condemn(...)`, which is TCG and remembers why.
    """

    code = "AcceleratorFailed"


class HostKeyMismatchError(GuestError):
    """Who answered is not the machine we started: it shows another SSH host key."""

    code = "HostKeyMismatch"


class AuthenticationFailedError(GuestError):
    """The guest refuses the build user's key."""

    code = "AuthenticationFailed"
