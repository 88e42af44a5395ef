"""Getting from a TCP port to an authenticated SSH connection, one attempt at a time.

A guest that boots under emulation has no time to spare: an eager client's abandoned attempts pile
up in its sshd. So an attempt is only given up before the guest has accepted it, and the stage each
one reached is kept for the failure bundle.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from builder.vm.access import BuildAccess, read_key
from builder.vm.errors import AuthenticationFailedError, HostKeyMismatchError
from provisioners.guest import GuestError, GuestTimeoutError

if TYPE_CHECKING:
    import paramiko

Stage = Literal["none", "tcp", "banner", "kex", "auth", "ready"]

UNANSWERED_SECONDS = 4.0  # slirp accepts for a guest whose network is down: start over soon
ACCEPTED_SECONDS = 60.0  # the guest has it: each further step may take this long
RETRY_SECONDS = 0.5
AUTH_GRACE_SECONDS = 60.0  # pam_nologin refuses users until the boot has come far enough
KEEPALIVE_SECONDS = 15
_SLICE = 0.25


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the guest's SSH is.

    `check` raises when the machine behind it is no more; it is called about every second of a wait.
    `accepted` tells whether the guest itself answered the connection from this local port (None:
    not known). `restarts` counts the guest's resets, so that a lost link is noticed at once.
    """

    host: str
    port: int
    check: Callable[[], None] = _nothing
    accepted: Callable[[int], bool | None] = lambda _port: None
    restarts: Callable[[], int] = lambda: 0


class NotYetError(GuestError):
    """This attempt came to nothing; another may succeed."""

    code = "GuestNotReady"


@dataclass(slots=True)
class _Attempts:
    """Attempts that ended alike; times in seconds since the wait began."""

    stage: Stage
    outcome: str
    first: float
    last: float
    count: int = 1

    def __str__(self) -> str:
        when = f"after {self.first:.1f} s" if self.count == 1 else f"after {self.first:.1f}-{self.last:.1f} s"
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{when}{times}: reached {self.stage!r}: {self.outcome}"


class Connector:
    """Connects to an endpoint as the build user, requiring the guest's host key."""

    def __init__(self, endpoint: Endpoint, access: BuildAccess) -> None:
        # A traceback for every refused banner is noise; our own attempt log says what happened.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
        self.endpoint = endpoint
        self.stage: Stage = "none"
        self.furthest: Stage = "none"
        self._log: deque[_Attempts] = deque(maxlen=30)
        self._access = access
        self._shown: tuple[str, str] | None = None  # the host key of a guest whose key nobody gave it

    def connect(self, timeout: float) -> paramiko.Transport:
        """An authenticated transport, within `timeout` seconds.

        Raises GuestTimeoutError, HostKeyMismatchError, AuthenticationFailedError, and whatever
        the endpoint's check raises.
        """
        start = time.monotonic()
        end = start + timeout
        refused_since: float | None = None
        while True:
            try:
                return self._attempt(end)
            except NotYetError as error:
                self._record(start, error.message)
            except AuthenticationFailedError as error:
                self._record(start, error.message)
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > AUTH_GRACE_SECONDS:
                    raise
            self.endpoint.check()
            if time.monotonic() + RETRY_SECONDS >= end:
                raise self._timed_out(timeout)
            time.sleep(RETRY_SECONDS)

    def _attempt(self, end: float) -> paramiko.Transport:
        self._reach("none")
        sock = self._open_socket(end)
        transport: paramiko.Transport | None = None
        try:
            self._await_banner(sock, end)
            transport = self._key_exchange(sock, end)
            self._check_host_key(transport)
            self._authenticate(transport, end)
        except BaseException:
            # paramiko's thread holds the transport: without this an interrupted attempt lives on.
            if transport is not None:
                transport.close()
            sock.close()
            raise
        transport.set_keepalive(KEEPALIVE_SECONDS)
        self._reach("ready")
        return transport

    def _open_socket(self, end: float) -> socket.socket:
        left = max(0.1, min(ACCEPTED_SECONDS, end - time.monotonic()))
        try:
            sock = socket.create_connection((self.endpoint.host, self.endpoint.port), timeout=left)
        except OSError as error:
            raise NotYetError(f"connect: {error.strerror or error}") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reach("tcp")
        return sock

    def _await_banner(self, sock: socket.socket, end: float) -> None:
        """Wait until the guest's sshd says something; nothing is sent or consumed meanwhile."""
        local_port = sock.getsockname()[1]
        start = time.monotonic()
        while not select.select([sock], [], [], _SLICE)[0]:
            now = time.monotonic()
            patience = UNANSWERED_SECONDS
            if now - start > UNANSWERED_SECONDS and self.endpoint.accepted(local_port) is not False:
                patience = ACCEPTED_SECONDS
            if now - start > patience or now > end:
                raise NotYetError("the guest does not answer")
            self.endpoint.check()
        try:
            greeting = sock.recv(1, socket.MSG_PEEK)
        except OSError as error:
            raise NotYetError(f"connection reset: {error.strerror or error}") from error
        if not greeting:
            raise NotYetError("connection refused by the guest")
        self._reach("banner")

    def _key_exchange(self, sock: socket.socket, end: float) -> paramiko.Transport:
        import paramiko

        transport = paramiko.Transport(sock)
        transport.daemon = True
        transport.banner_timeout = transport.handshake_timeout = ACCEPTED_SECONDS
        transport.auth_timeout = transport.channel_timeout = ACCEPTED_SECONDS
        if not self._access.declared:
            transport.get_security_options().key_types = ("ssh-ed25519",)
        done = threading.Event()
        try:
            transport.start_client(event=done)
            self._await(done, end)
            if not transport.is_active():
                raise self._translate(transport.get_exception(), "key exchange")
        except BaseException:
            transport.close()
            raise
        self._reach("kex")
        return transport

    def _check_host_key(self, transport: paramiko.Transport) -> None:
        shown = transport.get_remote_server_key()
        if self._access.declared:
            self._keep_to(shown.get_name(), shown.get_base64())
            return
        wanted = self._access.host_key.public.split()
        if [shown.get_name(), shown.get_base64()] != wanted[:2]:
            raise HostKeyMismatchError(
                "The guest shows another SSH host key than the one it was given.",
                details=(
                    f"expected: {' '.join(wanted[:2])}",
                    f"shown:    {shown.get_name()} {shown.get_base64()}",
                ),
                hint="Something else answers on this port, or cloud-init did not run in the guest "
                "(does the image have it, and may it use NoCloud?). See the serial log.",
            )

    def _keep_to(self, name: str, key: str) -> None:
        """An image of the user's own brings its own key: the one it shows first counts for this machine.

        Only the image's own seed changes it, on the way from Windows Setup to the first logon.
        """
        ours = self._access.host_key.public.split()[:2]
        if self._shown not in (None, (name, key)) and [name, key] != ours:
            raise HostKeyMismatchError(
                "The guest shows another SSH host key than before.",
                details=(f"first: {' '.join(self._shown or ())}", f"now:   {name} {key}"),
                hint="Did a step make new host keys? Something else may answer on this port.",
            )
        self._shown = (name, key)

    def _authenticate(self, transport: paramiko.Transport, end: float) -> None:
        import paramiko

        self._reach("auth")
        access = self._access
        done = threading.Event()
        try:
            if access.password is not None:
                transport.auth_password(access.user, access.password, done, fallback=False)
            else:
                transport.auth_publickey(access.user, read_key(access.client_key.private), done)
        except paramiko.SSHException as error:
            raise NotYetError(f"authentication: {error}") from error
        self._await(done, end)
        if transport.is_authenticated():
            return
        failure = transport.get_exception()
        refused = failure is None or isinstance(failure, paramiko.AuthenticationException)
        if refused and transport.is_active():
            raise AuthenticationFailedError(
                f"The guest refuses the {'account' if access.declared else 'build user'} {access.user!r}.",
                hint="Is what x-goldsmith.access gives right, and is the account an administrator's?"
                if access.declared
                else "Did cloud-init create the user? See the serial log.",
            )
        raise self._translate(failure, "authentication")

    def _await(self, done: threading.Event, end: float) -> None:
        stop = min(end, time.monotonic() + ACCEPTED_SECONDS)
        while not done.wait(_SLICE):
            self.endpoint.check()
            if time.monotonic() > stop:
                raise NotYetError(f"no answer after {self.stage!r}")

    @staticmethod
    def _translate(error: BaseException | None, what: str) -> GuestError:
        from paramiko.ssh_exception import IncompatiblePeer

        if isinstance(error, IncompatiblePeer) and "host key" in str(error):
            return HostKeyMismatchError(
                "The guest has no ed25519 SSH host key, so it is not the one it was given.",
                details=(str(error),),
                hint="cloud-init did not set the host key; see the serial log.",
            )
        return NotYetError(f"{what}: {error or 'the connection ended'}")

    def _reach(self, stage: Stage) -> None:
        order = ("none", "tcp", "banner", "kex", "auth", "ready")
        self.stage = stage
        if order.index(stage) > order.index(self.furthest):
            self.furthest = stage

    @property
    def attempts(self) -> tuple[str, ...]:
        """What became of the latest attempts that failed, like ones together."""
        return tuple(str(entry) for entry in self._log)

    def _record(self, start: float, outcome: str) -> None:
        elapsed = time.monotonic() - start
        last = self._log[-1] if self._log else None
        if last is not None and (last.stage, last.outcome) == (self.stage, outcome):
            last.count += 1
            last.last = elapsed
        else:
            self._log.append(_Attempts(self.stage, outcome, elapsed, elapsed))

    def _timed_out(self, timeout: float) -> GuestTimeoutError:
        return GuestTimeoutError(
            f"The guest did not answer over SSH within {timeout:.0f} s (furthest stage: {self.furthest}).",
            details=self.attempts[-5:],
            hint="See the serial log and the screenshot in the failure bundle.",
        )
