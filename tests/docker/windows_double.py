"""A SSH server that plays a Windows guest: records exact command bytes and files, answers as told.

No Windows is to be had here; this checks what we send, not what Windows does with it. What it plays is what
Microsoft documents: the default shell, exit codes of PowerShell as a shell, CLIXML on stderr, restarts.
"""

from __future__ import annotations

import base64
import contextlib
import io
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import paramiko

from builder.vm.access import BuildAccess
from builder.vm.command_line import PROBE, WINDOWS_LIMIT


@dataclass
class Said:
    """How a command ended, and what it wrote."""

    code: int | None = 0
    stdout: bytes = b""
    stderr: bytes = b""


Answer = Callable[[str], int | Said | None]
"""Given the command line: its exit code, or None to drop the connection as a restarting guest does."""

RESTART = "restart"


class WindowsDouble:
    """`shell` is OpenSSH's DefaultShell; `states` are the ImageStates it tells, the last one for ever: asked
    at a `RESTART` it goes away instead.
    """

    def __init__(self, access: BuildAccess, *, shell: Literal["cmd", "powershell", "bash"] = "cmd") -> None:
        self.access = access
        self.shell = shell
        self.host_keys: list[paramiko.PKey] = [
            paramiko.Ed25519Key(file_obj=io.StringIO(access.host_key.private))
        ]
        self.commands: list[bytes] = []
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        """Every file there ever was, as it was last."""
        self.boot = 100
        self.states = ["IMAGE_STATE_COMPLETE"]
        self.clock = 0
        self.answer: Answer = lambda _line: 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()
        self.drop()

    def drop(self) -> None:
        """End every connection, as a restart does."""
        for transport in self._transports:
            transport.close()

    @property
    def connections(self) -> int:
        """How often somebody came."""
        return len(self._transports)

    def texts(self) -> list[str]:
        """The commands we gave, PowerShell decoded, without those that ask for the boot id or the shell."""
        lines = [decoded(command.decode()) for command in self.commands]
        return [line for line in lines if "LastBootUpTime" not in line and line != PROBE]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            for key in self.host_keys:
                transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _sftp_of(self))
            self._transports.append(transport)
            try:
                transport.start_server(server=_Server(self))
            except (paramiko.SSHException, EOFError, OSError):  # a client that left is no reason to stop
                transport.close()

    def serve(self, channel: paramiko.Channel, command: bytes) -> None:
        self.commands.append(command)
        said = self._said(command.decode())
        with contextlib.suppress(OSError):  # the client may have left
            channel.sendall(said.stdout)
            channel.sendall_stderr(said.stderr)
            if said.code is None:
                channel.get_transport().close()
                return
            channel.send_exit_status(said.code)
            channel.close()

    def _said(self, command: str) -> Said:
        if command == PROBE:
            return Said(stdout={"cmd": b"goldsmith-$PID\r\n", "powershell": b"goldsmith-4711\r\n"}.get(
                self.shell, b"goldsmith-\n"))  # fmt: skip
        assert len(command) <= WINDOWS_LIMIT
        line = decoded(command)
        if "LastBootUpTime" in line:
            return Said(stdout=f"{self.boot}\r\n".encode())
        if "ImageState" in line and "ToFileTimeUtc" in line:
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return Said(code=None) if state == RESTART else Said(stdout=f"{state} {self.clock}\r\n".encode())
        if line.startswith(("cmd.exe /c del ", "& cmd.exe /c del ")):
            for name in re.findall(r"[A-Za-z]:\\[^\s';]+", line):
                self.files.pop("/" + name.replace("\\", "/"), None)
        answer = self.answer(line)
        said = answer if isinstance(answer, Said) else Said(answer)
        if self.shell == "powershell" and said.code and not command.endswith("; exit $LASTEXITCODE"):
            said.code = 1  # "that exit code is converted to 1" (about_PowerShell_exe)
        return said


def decoded(line: str) -> str:
    found = re.search(r"-EncodedCommand ([A-Za-z0-9+/=]+)", line)
    return base64.b64decode(found[1]).decode("utf-16-le") if found else line


class _Server(paramiko.ServerInterface):
    def __init__(self, double: WindowsDouble) -> None:
        self._double = double

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        access = self._double.access
        if not access.client_key.public:
            return paramiko.AUTH_FAILED
        right = username == access.user and key.get_base64() == access.client_key.public.split()[1]
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        access = self._double.access
        right = username == access.user and access.password is not None and password == access.password
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        # paramiko sends its own "yes" after this method returns; the answer must come behind it.
        threading.Timer(0.05, self._double.serve, (channel, command)).start()
        return True


class _Handle(paramiko.SFTPHandle):
    def __init__(self, double: WindowsDouble, path: str, flags: int) -> None:
        super().__init__(flags)
        self._double, self._path = double, path

    def write(self, offset: int, data: bytes) -> int:
        old = self._double.files[self._path]
        new = old[:offset] + data + old[offset + len(data) :]
        self._double.files[self._path] = self._double.stored[self._path] = new
        return paramiko.SFTP_OK

    def read(self, offset: int, length: int) -> bytes | int:
        return self._double.files[self._path][offset : offset + length] or paramiko.SFTP_EOF

    def stat(self) -> paramiko.SFTPAttributes:
        return _attributes(self._double.files[self._path])

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        return paramiko.SFTP_OK


def _attributes(data: bytes) -> paramiko.SFTPAttributes:
    found = paramiko.SFTPAttributes()
    found.st_size = len(data)
    return found


def _sftp_of(double: WindowsDouble) -> type[paramiko.SFTPServerInterface]:
    class Interface(paramiko.SFTPServerInterface):
        def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
            import os

            if flags & os.O_CREAT:
                double.files[path] = b""
            elif path not in double.files:
                return paramiko.SFTP_NO_SUCH_FILE
            return _Handle(double, path, flags)

        def stat(self, path: str) -> paramiko.SFTPAttributes | int:
            data = double.files.get(path)
            return paramiko.SFTP_NO_SUCH_FILE if data is None else _attributes(data)

    return Interface
