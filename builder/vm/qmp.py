"""QEMU's monitor, called like a function: qemu.qmp on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from builder.vm.errors import MachineError

COMMAND_SECONDS = 30.0
GREETING_SECONDS = 30.0
_KEPT_EVENTS = 1000

T = TypeVar("T")


class QmpError(MachineError):
    """QEMU refused a command, or its monitor is gone."""

    code = "QmpFailed"


class QmpClient:
    """A synchronous QMP session on a connected socket, usable from any thread.

    The socket is one half of a socketpair: no path in the file system, so neither its length
    (108 bytes) nor its permissions can get in the way.
    """

    def __init__(self, sock: socket.socket) -> None:
        from qemu.qmp import QMPClient

        logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)
        self._sock = sock
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT_EVENTS)
        self._changed = threading.Condition()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()
        self._qmp: Any = QMPClient("goldsmith")  # qemu.qmp ships without complete types
        self._pump: asyncio.Future[None] | None = None

    def connect(self, timeout: float = GREETING_SECONDS) -> None:
        """Wait for QEMU's greeting and negotiate. Raises QmpError."""
        self._call(self._connect(), timeout, "greeting")

    def command(self, name: str, *, timeout: float = COMMAND_SECONDS, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Execute a command; keyword arguments are its arguments, with `_` for `-`.

        Raises QmpError when QEMU refuses it, has gone, or takes longer than `timeout` seconds.
        """
        words = {key.replace("_", "-"): value for key, value in arguments.items()}
        return self._call(self._qmp.execute(name, words), timeout, name)

    def human(self, line: str) -> str:
        """Run a line of the human monitor, for what QMP has no command for."""
        return str(self.command("human-monitor-command", command_line=line))

    def send_fd(self, name: str, descriptor: int) -> None:
        """Hand an open file to QEMU under `name` (`getfd`)."""

        async def send() -> None:
            self._qmp.send_fd_scm(descriptor)
            await self._qmp.execute("getfd", {"fdname": name})

        self._call(send(), COMMAND_SECONDS, "getfd")

    def status(self) -> str:
        """`query-status`: running, paused, internal-error, guest-panicked, shutdown, ..."""
        return str(self.command("query-status")["status"])

    def block_resize(self, node: str, size: int) -> None:
        """Make the disk of `node` `size` bytes long; the guest notices at once."""
        self.command("block_resize", node_name=node, size=size)

    def screendump(self, path: Path) -> None:
        """Write the screen to `path` as PNG."""
        self.command("screendump", filename=os.fspath(path), format="png")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The events seen so far, of the given names or all, oldest first."""
        with self._changed:
            return [event for event in self._events if not names or event["event"] in names]

    def wait_event(self, *names: str, timeout: float) -> dict[str, Any] | None:
        """The first event of these names, seen already or within `timeout` seconds; else None."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self._events:
                    if event["event"] in names:
                        return event
                left = end - time.monotonic()
                if left <= 0 or self._closed:
                    return None
                self._changed.wait(left)

    def close(self) -> None:
        """End the session; QEMU goes on. Safe to call twice."""
        if self._loop.is_closed():
            return
        self._closed = True
        with contextlib.suppress(MachineError):
            self._run(self._disconnect(), 5.0, "disconnect")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()
        self._sock.close()

    async def _connect(self) -> None:
        await self._qmp.connect(self._sock)
        self._pump = asyncio.ensure_future(self._collect())

    async def _collect(self) -> None:
        async for event in self._qmp.events:
            with self._changed:
                self._events.append(dict(event))
                self._changed.notify_all()

    async def _disconnect(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        # A session that broke off reports that again here; it is over either way.
        with contextlib.suppress(Exception):
            await self._qmp.disconnect()

    def _call(self, work: Coroutine[Any, Any, T], timeout: float, what: str) -> T:
        if self._closed:
            work.close()
            raise QmpError(f"QEMU's monitor is closed ({what}).")
        return self._run(work, timeout, what)

    def _run(self, work: Coroutine[Any, Any, T], timeout: float, what: str) -> T:
        from qemu.qmp import QMPError

        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise QmpError(f"QEMU did not answer {what!r} within {timeout:g} s.") from None
        except (QMPError, OSError, EOFError) as error:
            raise QmpError(f"QEMU's monitor: {what!r} failed: {error}") from error
        except BaseException:
            future.cancel()
            raise
