"""A SSH server that plays a Windows guest: records exact command bytes and files, answers as told.

No Windows is to be had here; this checks what we send, not what Windows does with it.
"""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Callable

import paramiko

from builder.vm.access import BuildAccess

Answer = Callable[[str], int | None]
"""Given the command line: its exit code, or None to drop the connection as a restarting guest does."""


class WindowsDouble:
    def __init__(self, access: BuildAccess) -> None:
        self.access = access
        self.commands: list[bytes] = []
        self.files: dict[str, bytes] = {}
        self.boot = 100
        self.answer: Answer = lambda _line: 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()
        for transport in self._transports:
            transport.close()

    def texts(self) -> list[str]:
        """The commands we gave, PowerShell decoded, without those that ask for the boot id."""
        lines = [decoded(command.decode()) for command in self.commands]
        return [line for line in lines if "LastBootUpTime" not in line]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(paramiko.Ed25519Key(file_obj=io.StringIO(self.access.host_key.private)))
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _sftp_of(self))
            self._transports.append(transport)
            try:
                transport.start_server(server=_Server(self))
            except (paramiko.SSHException, EOFError):
                transport.close()

    def serve(self, channel: paramiko.Channel, command: bytes) -> None:
        self.commands.append(command)
        line = decoded(command.decode())
        if "LastBootUpTime" in line:
            channel.sendall(f"{self.boot}\r\n".encode())
            code: int | None = 0
        else:
            code = self.answer(line)
        if code is None:
            channel.get_transport().close()
            return
        channel.send_exit_status(code)
        channel.close()


def decoded(line: str) -> str:
    _, found, encoded = line.partition("-EncodedCommand ")
    return base64.b64decode(encoded).decode("utf-16-le") if found else line


class _Server(paramiko.ServerInterface):
    def __init__(self, double: WindowsDouble) -> None:
        self._double = double

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        wanted = self._double.access.client_key.public.split()[1]
        right = username == self._double.access.user and key.get_base64() == wanted
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        # paramiko sends its own "yes" after this method returns; the answer must come behind it.
        threading.Timer(0.05, self._double.serve, (channel, command)).start()
        return True


class _Handle(paramiko.SFTPHandle):
    def __init__(self, double: WindowsDouble, path: str) -> None:
        super().__init__(0)
        self._double, self._path = double, path
        double.files[path] = b""

    def write(self, offset: int, data: bytes) -> int:
        old = self._double.files[self._path]
        self._double.files[self._path] = old[:offset] + data + old[offset + len(data) :]
        return paramiko.SFTP_OK

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        return paramiko.SFTP_OK


def _sftp_of(double: WindowsDouble) -> type[paramiko.SFTPServerInterface]:
    class Interface(paramiko.SFTPServerInterface):
        def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle:
            return _Handle(double, path)

    return Interface
