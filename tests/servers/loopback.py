"""A web server on loopback, in a thread of this process: how it starts, where it is, and how it stops."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trustme

# Status, headers, and what is said: bytes as they are, anything else as JSON. A length that is not the body's own
# is told all the same, and the connection ends after it.
Reply = tuple[int, dict[str, str], Any]


class Quiet(BaseHTTPRequestHandler):
    """Writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        return


class Loopback:
    """Serves by a handler from the start until it is closed; over TLS with a context."""

    def __init__(
        self, handler: Callable[..., BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
    ) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        # The time is how often it looks whether it is to stop, and so how long stopping takes.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Asked:
    """A request as it arrived: the target as it was written, the names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


def answering(answer: Callable[[Asked], Reply]) -> type[Quiet]:
    """A handler that says what `answer` gives for a request."""

    class Handler(Quiet):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            told = {name.lower(): value for name, value in self.headers.items()}
            status, headers, said = answer(Asked(self.command, self.path, told, body))
            data = said if isinstance(said, bytes) else json.dumps(said, ensure_ascii=False).encode()
            known = {
                "content-type": "application/json; charset=UTF-8",
                "content-length": str(len(data)),
                **headers,
            }
            self.send_response(status)
            for name, value in known.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = known["content-length"] != str(len(data))

        do_GET = do_POST = do_DELETE = do_PATCH = _answer

    return Handler


def certified(*names: str) -> tuple[ssl.SSLContext, str]:
    """A server's TLS for these names, and the certificate (PEM) of the authority to trust for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context, authority.cert_pem.bytes().decode()
