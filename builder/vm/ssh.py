"""The guest over SSH: builder.vm's implementation of provisioners.guest.Guest."""

from __future__ import annotations

import base64
import contextlib
import io
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from builder.sources.base import OsType
from builder.vm.access import BuildAccess
from builder.vm.clixml import ClixmlFilter
from builder.vm.command_line import PROBE, WindowsShell, command_line, shell_of
from builder.vm.lines import LineSplitter
from builder.vm.ssh_link import Connector, Endpoint, Stage
from builder.vm.ssh_stream import CommandStream
from provisioners.guest import (
    CommandResult,
    GuestError,
    GuestTimeoutError,
    LinkLostError,
    OnOutput,
    Stream,
)

if TYPE_CHECKING:
    import paramiko

TAIL_LINES = 40
STDOUT_LIMIT = 4 << 20
"""CommandResult.stdout holds at most this many characters; all lines reach `on_output`."""

_BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
PROBE_SECONDS = 60.0
_WINDOWS_BOOT_TIME = "(Get-CimInstance Win32_OperatingSystem).LastBootUpTime.ToFileTimeUtc()"


class SshGuest:
    """A guest reached over one SSH connection, which is kept: each one costs an emulated guest a second.

    Use from one thread at a time. The methods do what the Guest protocol says.
    """

    def __init__(self, endpoint: Endpoint, access: BuildAccess, *, os_type: OsType = "Linux") -> None:
        self.endpoint = endpoint
        self._access = access
        self._os_type: OsType = os_type
        self._connector = Connector(endpoint, access)
        self._transport: paramiko.Transport | None = None
        self._sftp: paramiko.SFTPClient | None = None
        self._has_sftp = True
        self._restarts = 0
        self._boot_id = ""
        self._shell: WindowsShell | None = None
        """What a Windows guest's sshd runs commands by; None: not asked yet over this connection."""

    @property
    def os_type(self) -> OsType:
        """Linux or Windows."""
        return self._os_type

    @property
    def user(self) -> str:
        """The build user."""
        return self._access.user

    @property
    def stage(self) -> Stage:
        """How far the last connection attempt came: none, tcp, banner, kex, auth, ready."""
        return self._connector.stage

    @property
    def attempts(self) -> tuple[str, ...]:
        """What became of the latest attempts that failed."""
        return self._connector.attempts

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self._transport is not None and self._transport.is_active()

    def connect(self, *, timeout: float) -> None:
        """Connect, waiting for the guest to answer.

        Raises GuestTimeoutError, HostKeyMismatchError, AuthenticationFailedError, or what the
        endpoint's check raises (MachineError).
        """
        self.disconnect()
        self._boot_id = ""
        self._shell = None
        self._restarts = self.endpoint.restarts()
        self._transport = self._connector.connect(timeout)
        self._restarts = self.endpoint.restarts()

    def reconnect(self, *, timeout: float) -> None:
        """Connect anew."""
        self.connect(timeout=timeout)

    def disconnect(self) -> None:
        """Drop the connection. Never raises."""
        transport, self._transport = self._transport, None
        self._drop_sftp()
        if transport is not None:
            with contextlib.suppress(Exception):
                transport.close()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes | None = None,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a program; see Guest.run. A program killed by signal N has exit code 128+N on Linux."""
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        stdout: list[str] = []
        room = STDOUT_LIMIT
        splitters: dict[Stream, LineSplitter] = {"stdout": LineSplitter(), "stderr": LineSplitter()}

        clixml = ClixmlFilter() if self._os_type == "Windows" else None

        def tell(stream: Stream, lines: list[str]) -> None:
            nonlocal room
            if clixml is not None and stream == "stderr":
                lines = clixml.feed(lines)
            for line in lines:
                tail.append(line)
                if stream == "stdout" and room > 0:
                    stdout.append(line)
                    room -= len(line) + 1
                if on_output is not None:
                    on_output(stream, line)

        try:
            code = self._exec(argv, timeout, stdin, lambda s, data: tell(s, splitters[s].feed(data)))
        finally:
            # Also the output before a lost link or a timeout belongs to the step.
            for stream, splitter in splitters.items():
                tell(stream, splitter.finish())
            held = clixml.finish() if clixml is not None else []
            tell("stderr", held)
        text = "\n".join(stdout)
        return CommandResult(code, tuple(tail), text + "\n" if text else "")

    def put(self, content: bytes | Path, destination: str, *, timeout: float, mode: int = 0o644) -> None:
        """Write a file in the guest; it has its mode before it has its content."""
        if self._has_sftp:
            with self._sftp_session(timeout, f"write {destination}") as sftp:
                if sftp is not None:
                    self._put_by_sftp(sftp, content, destination, mode)
                    return
        self._put_by_cat(content, destination, timeout, mode)

    def get(self, path: str, *, timeout: float) -> bytes:
        """Read a file of the guest."""
        if self._has_sftp:
            with self._sftp_session(timeout, f"read {path}") as sftp:
                if sftp is not None:
                    buffer = io.BytesIO()
                    sftp.getfo(_sftp_path(path), buffer)
                    return buffer.getvalue()
        return self._get_by_cat(path, timeout)

    def boot_id(self, *, timeout: float) -> str:
        """The kernel's boot id; on Windows the time of the last boot. Asked for once per connection: none
        outlives its boot.
        """
        if self._boot_id and self.connected and self.endpoint.restarts() == self._restarts:
            return self._boot_id
        if self._os_type == "Windows":
            encoded = base64.b64encode(_WINDOWS_BOOT_TIME.encode("utf-16-le")).decode()
            argv = ["powershell", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded]
        else:
            argv = ["cat", _BOOT_ID_FILE]
        result = self.run(argv, timeout=timeout)
        value = result.stdout.strip()
        if result.exit_code != 0 or not value:
            raise GuestError("The guest's boot id could not be read.", details=result.tail)
        self._boot_id = value
        return value

    def remember_boot_id(self, boot_id: str) -> None:
        """Somebody asked the guest for it already, over this connection."""
        self._boot_id = boot_id

    def _exec(
        self,
        argv: Sequence[str],
        timeout: float,
        stdin: bytes | None,
        on_chunk: Callable[[Stream, bytes], None],
    ) -> int:
        shell = self._windows_shell(timeout) if self._os_type == "Windows" else "cmd"
        channel = self._start(command_line(argv, self._os_type, shell), timeout)
        stream = CommandStream(channel, timeout=timeout, check=self._check)
        with contextlib.closing(stream.chunks(stdin)) as chunks:
            for name, data in chunks:
                on_chunk(name, data)
        return stream.exit_code

    def _windows_shell(self, timeout: float) -> WindowsShell:
        """Asked once per connection: it is the machine's setting DefaultShell, which a step may change."""
        if self._shell is None:
            limit = min(timeout, PROBE_SECONDS)
            stream = CommandStream(self._start(PROBE, limit), timeout=limit, check=self._check)
            with contextlib.closing(stream.chunks(None)) as chunks:
                answer = b"".join(data for name, data in chunks if name == "stdout")
            self._shell = shell_of(answer.decode(errors="replace"))
        return self._shell

    def _start(self, command: str, timeout: float) -> paramiko.Channel:
        import paramiko

        transport = self._require_transport()
        with self._limit(timeout, "start a command"):
            try:
                channel = transport.open_session(timeout=timeout)
                channel.exec_command(command)
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise LinkLostError(
                    "The connection to the guest ended before a command could start.",
                    details=(str(error) or type(error).__name__,),
                ) from error
        return channel

    def _check(self) -> None:
        self.endpoint.check()
        if self.endpoint.restarts() != self._restarts:
            raise LinkLostError("The guest restarted while a command ran.")

    def _require_transport(self) -> paramiko.Transport:
        if self._transport is None or not self._transport.is_active():
            raise LinkLostError("There is no connection to the guest.")
        return self._transport

    @contextlib.contextmanager
    def _limit(self, timeout: float, what: str) -> Iterator[None]:
        """Paramiko waits for ever in places: close the connection when `timeout` is over."""
        transport = self._require_transport()
        fired = threading.Event()

        def end() -> None:
            fired.set()
            transport.close()

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if fired.is_set():
                raise GuestTimeoutError(f"Could not {what} within {timeout:.0f} s.") from error
            raise
        finally:
            timer.cancel()

    @contextlib.contextmanager
    def _sftp_session(self, timeout: float, what: str) -> Iterator[paramiko.SFTPClient | None]:
        """The SFTP client, or None when the guest has none. Translates errors."""
        import paramiko

        try:
            with self._limit(timeout, what):
                yield self._open_sftp()
        except (paramiko.SSHException, EOFError) as error:
            self._drop_sftp()
            raise LinkLostError(
                f"The connection to the guest ended (tried to {what}).", details=(str(error),)
            ) from error
        except OSError as error:
            if not self.connected:
                self._drop_sftp()
                raise LinkLostError(f"The connection to the guest ended (tried to {what}).") from error
            raise _file_error(what, self.user, error.strerror or str(error)) from error
        except BaseException:
            self._drop_sftp()
            raise

    def _open_sftp(self) -> paramiko.SFTPClient | None:
        import paramiko

        if self._sftp is None:
            transport = self._require_transport()
            try:
                self._sftp = paramiko.SFTPClient.from_transport(transport)
            except (paramiko.SSHException, EOFError):
                if not transport.is_active():
                    raise
                self._has_sftp = False
        return self._sftp

    def _drop_sftp(self) -> None:
        sftp, self._sftp = self._sftp, None
        if sftp is not None:
            with contextlib.suppress(Exception):
                sftp.close()

    def _put_by_sftp(
        self, sftp: paramiko.SFTPClient, content: bytes | Path, destination: str, mode: int
    ) -> None:
        target = _sftp_path(destination)
        with _opened(content) as source, sftp.open(target, "wb") as file:
            if self._os_type == "Linux":
                file.chmod(mode)
            file.set_pipelined(True)
            while chunk := source.read(32 * 1024):
                file.write(chunk)

    def _put_by_cat(self, content: bytes | Path, destination: str, timeout: float, mode: int) -> None:
        data = content.read_bytes() if isinstance(content, Path) else content
        script = 'umask 077 && : > "$1" && chmod "$2" "$1" && cat > "$1"'
        argv = ["sh", "-c", script, "sh", destination, f"{mode:o}"]
        result = self.run(argv, timeout=timeout, stdin=data)
        if result.exit_code != 0:
            raise _file_error(f"write {destination}", self.user, "\n".join(result.tail))

    def _get_by_cat(self, path: str, timeout: float) -> bytes:
        parts: dict[Stream, list[bytes]] = {"stdout": [], "stderr": []}
        code = self._exec(["cat", "--", path], timeout, None, lambda s, data: parts[s].append(data))
        if code != 0:
            raise _file_error(f"read {path}", self.user, b"".join(parts["stderr"]).decode(errors="replace"))
        return b"".join(parts["stdout"])


def _sftp_path(path: str) -> str:
    """SFTP knows slashes only; a drive becomes the first part of the path."""
    if len(path) > 1 and path[1] == ":":
        return "/" + path.replace("\\", "/")
    return path


@contextlib.contextmanager
def _opened(content: bytes | Path) -> Iterator[IO[bytes]]:
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield file
    else:
        yield io.BytesIO(content)


def _file_error(what: str, user: str, reason: str) -> GuestError:
    hint = None
    if what.startswith("write"):
        hint = f"Files are written as {user}, without sudo: use a folder it may write, such as /tmp."
    return GuestError(
        f"Could not {what} in the guest as {user}: {reason.strip() or 'unknown reason'}", hint=hint
    )
