"""Moving the bytes of one remote command: its output to us as it comes, our input to it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from provisioners.guest import GuestTimeoutError, LinkLostError, Stream

if TYPE_CHECKING:
    import paramiko

_CHUNK = 32 * 1024
_QUEUED_CHUNKS = 64
_SLICE = 1.0
# A background process that keeps the output open must not hold up a command that has ended.
LINGER_SECONDS = 5.0


class CommandStream:
    """Iterates over (stream, bytes) of a started channel; afterwards `exit_code` is set.

    `check` raises when the machine is gone or has restarted. Leaving the iteration early, also by
    KeyboardInterrupt, closes the channel and with it every helper thread.
    """

    def __init__(self, channel: paramiko.Channel, *, timeout: float, check: Callable[[], None]) -> None:
        self.exit_code = -1
        self._channel = channel
        self._timeout = timeout
        self._end = time.monotonic() + timeout
        self._check = check
        self._queue: queue.Queue[tuple[Stream, bytes]] = queue.Queue(_QUEUED_CHUNKS)
        self._stopped = threading.Event()

    def chunks(self, stdin: bytes | None) -> Generator[tuple[Stream, bytes], None, None]:
        """The output until the command ends. Raises GuestTimeoutError, LinkLostError."""
        readers: tuple[tuple[Stream, Callable[[int], bytes]], ...] = (
            ("stdout", self._channel.recv),
            ("stderr", self._channel.recv_stderr),
        )
        try:
            threading.Thread(target=self._feed, args=(stdin,), daemon=True).start()
            for stream, receive in readers:
                threading.Thread(target=self._read, args=(stream, receive), daemon=True).start()
            yield from self._drain(len(readers))
            self.exit_code = self._exit_status()
        finally:
            self._stopped.set()
            self._channel.close()

    def _drain(self, open_streams: int) -> Generator[tuple[Stream, bytes], None, None]:
        quiet_since: float | None = None
        while open_streams:
            self._check_time()
            try:
                stream, data = self._queue.get(timeout=min(_SLICE, max(0.01, self._end - time.monotonic())))
            except queue.Empty:
                self._check()
                if self._channel.exit_status_ready():
                    quiet_since = quiet_since or time.monotonic()
                    if time.monotonic() - quiet_since > LINGER_SECONDS:
                        return
                continue
            quiet_since = None
            if data:
                yield stream, data
            else:
                open_streams -= 1

    def _exit_status(self) -> int:
        while not self._channel.status_event.wait(_SLICE):
            self._check_time()
            self._check()
        code = self._channel.exit_status
        if code == -1:
            # sshd always reports how a command ended: none means the link went, or that the login
            # shell itself was killed, as in a shutdown. Nobody knows how far the command came.
            raise LinkLostError(
                "The connection to the guest ended while a command ran.",
                hint="Did the command restart the guest, its network or its sshd?",
            )
        return code

    def _check_time(self) -> None:
        if time.monotonic() >= self._end:
            raise GuestTimeoutError(f"The command did not end within {self._timeout:.0f} s.")

    def _read(self, stream: Stream, receive: Callable[[int], bytes]) -> None:
        while True:
            try:
                data = receive(_CHUNK)
            except OSError:
                data = b""
            while not self._stopped.is_set():
                try:
                    self._queue.put((stream, data), timeout=_SLICE)
                    break
                except queue.Full:
                    continue
            if not data or self._stopped.is_set():
                return

    def _feed(self, stdin: bytes | None) -> None:
        # The command may end without reading its input; that is its business.
        with contextlib.suppress(OSError, EOFError):
            if stdin:
                self._channel.sendall(stdin)
            self._channel.shutdown_write()
