"""A small web server on loopback that gives its feed to whoever shows a key, and remembers who asked with what."""

from __future__ import annotations

import threading

from tests.servers.loopback import Loopback, Quiet

FEED = b"indicator,type,confidence\n203.0.113.7,ip,85\n198.51.100.9,ip,70\n"


class Keyed(Loopback):
    """`keys` open it; a path in `moved` leads elsewhere, one in `echoing` says in its status line what it was sent."""

    def __init__(self, *keys: str) -> None:
        self.keys = set(keys)
        self.moved: dict[str, str] = {}
        self.echoing: set[str] = set()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.held = threading.Event()
        self.held.set()
        server = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                server.asked.append((self.path, dict(self.headers)))
                server.held.wait(60)
                if self.path in server.moved:
                    self.send_response(302)
                    self.send_header("Location", server.moved[self.path])
                    self.end_headers()
                elif self.path in server.echoing:
                    shown = self.headers.get("X-Key", "")
                    self.send_response(302)
                    self.send_header("Location", f"http://127.0.0.1:{server.port}/no/{shown}")
                    self.end_headers()
                elif self.path.startswith("/no/"):
                    self.send_error(404)
                elif self.headers.get("X-Key") not in server.keys:
                    self.send_error(401)
                else:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/csv")
                    self.send_header("Content-Length", str(len(FEED)))
                    self.end_headers()
                    self.wfile.write(FEED)

        super().__init__(Handler)
        self.host = f"127.0.0.1:{self.port}"
        self.url += "/feed.csv"

    @property
    def shown(self) -> list[str]:
        """The keys it was shown, in order."""
        return [headers["X-Key"] for _, headers in self.asked if "X-Key" in headers]

    def close(self) -> None:
        self.held.set()
        super().close()
