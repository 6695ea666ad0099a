"""What every answer carries: the content security policy and its companions."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

Headers = list[tuple[bytes, bytes]]

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)

COMMON: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: with it browsers send `Origin: null` with a form, and we demand the exact one.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
]
TRANSPORT: Headers = [(b"strict-transport-security", b"max-age=31536000")]


@lru_cache(maxsize=1)
def app_policy() -> bytes:
    """The policy of the app's pages: our own origin, and the inline scripts index.html has, by their hash."""
    import streamlit

    index = Path(streamlit.__file__).parent / "static" / "index.html"
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE.findall(index.read_text(encoding="utf-8"))
    )
    return (
        f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob: {hashes}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self'; worker-src 'self' blob:; frame-src 'self'; media-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ).encode()


# Our own pages have no script at all.
PLAIN_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)


def headers_for(ours: bool, https: bool) -> Headers:
    """The security headers of an answer: of one of our own pages, or of the app."""
    policy = PLAIN_POLICY if ours else app_policy()
    return [*COMMON, *(TRANSPORT if https else []), (b"content-security-policy", policy)]
