"""A small web server on loopback, for connectors to ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.servers.loopback import Loopback, Quiet


class Web(Loopback):
    """A small web server on loopback: files, answers made of a query, redirects, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: dict[str, Callable[[dict[str, str]], bytes]] = {}
        self.moved: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.methods: list[str] = []
        self.slow: set[str] = set()
        web = self

        class Handler(Quiet):
            def do_GET(self) -> None:
                web.methods.append(self.command)
                web.asked.append((self.path, dict(self.headers)))
                parts = urlsplit(self.path)
                if parts.path in web.made:
                    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                    body = web.made[parts.path](asked)
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                elif self.path in web.moved:
                    self.send_response(302)
                    self.send_header("Location", web.moved[self.path])
                    self.end_headers()
                elif self.path not in web.files:
                    self.send_error(404)
                elif self.headers.get("If-None-Match") == web.tags.get(self.path, '"v1"'):
                    self.send_response(304)
                    self.end_headers()
                else:
                    body = web.files[self.path]
                    self.send_response(200)
                    self.send_header("Content-Type", "text/csv; charset=utf-8")
                    self.send_header("ETag", web.tags.get(self.path, '"v1"'))
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    if self.command == "HEAD":
                        return
                    if self.path in web.slow:
                        body, rest = body[:1], body[1:]
                        self.wfile.write(body)
                        self.wfile.flush()
                        time.sleep(0.6)
                        body = rest
                    self.wfile.write(body)

            do_HEAD = do_GET

        super().__init__(Handler)
