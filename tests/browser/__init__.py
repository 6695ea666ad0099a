"""The browser app, driven in a real Chromium against the whole product."""
