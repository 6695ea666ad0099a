"""A way to a real server that can fall silent, break off, or answer in its place: what servers do on bad days."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Passes bytes between its own loopback port and a server's, and keeps count of them.

    `hang` and `drop` are how many bytes of the server's a connection gives on before it falls silent or is cut;
    `instead` is sent in place of what the server would say. They hold for so many connections as `ailing`.
    """

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.hang: int | None = None
        self.drop: int | None = None
        self.instead = b""
        self.ailing = 0
        self.asked: list[bytearray] = []
        self.said: list[int] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def well(self) -> None:
        """Be an honest way again, and forget what passed."""
        self.hang = self.drop = None
        self.instead, self.ailing = b"", 0
        self.asked.clear()
        self.said.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            _cut(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            ill = self.ailing > 0
            self.ailing -= ill
            self._open.append(near)
            threading.Thread(target=self._serve, args=(near, ill), daemon=True).start()

    def _serve(self, near: socket.socket, ill: bool) -> None:
        number = len(self.asked)
        self.asked.append(bytearray())
        self.said.append(0)
        if ill and self.instead:
            with contextlib.suppress(OSError):
                while b"\r\n\r\n" not in self.asked[number] and (data := near.recv(65536)):
                    self.asked[number] += data
                near.sendall(self.instead)
            _cut(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.upstream))
        except OSError:
            _cut(near)
            return
        self._open.append(far)
        threading.Thread(target=self._upward, args=(near, far, number), daemon=True).start()
        self._downward(near, far, number, ill)

    def _upward(self, near: socket.socket, far: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                if number < len(self.asked):
                    self.asked[number] += data
                far.sendall(data)
        _cut(far)

    def _downward(self, near: socket.socket, far: socket.socket, number: int, ill: bool) -> None:
        given = 0
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                if ill and self.drop is not None and given + len(data) > self.drop:
                    near.sendall(data[: self.drop - given])
                    break
                if ill and self.hang is not None and given + len(data) > self.hang:
                    near.sendall(data[: self.hang - given])
                    while far.recv(65536):  # it goes on listening, and says no more
                        pass
                    break
                near.sendall(data)
                given += len(data)
                if number < len(self.said):
                    self.said[number] = given
        _cut(near)
        _cut(far)


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
