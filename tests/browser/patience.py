"""Patience with a page that is being drawn anew, as a person has it.

For a moment Streamlit keeps a former element beside its successor. A person sees one of them; Playwright finds two
and refuses at once. Every act and expectation on a locator therefore looks again until its time is over. And nobody
clicks into a page that still moves: acts of the mouse and whole fields wait until it is at rest, a little at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from playwright.sync_api import Error, FileChooser, Locator, LocatorAssertions, Page

# At rest: nothing is computed, and nothing that is shown is about to be replaced. Looked at in the page itself, until it
# has been so for so many milliseconds, or the time is over.
AT_REST = """async ([limit, rest]) => {
  const still = () => {
    const app = document.querySelector('[data-test-script-state]');
    if (!app) return document.readyState === 'complete' && !document.querySelector('#root');
    return app.dataset.testScriptState === 'notRunning'
      && app.dataset.testConnectionState === 'CONNECTED'
      && document.querySelector('h1') !== null
      && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"], [data-testid="stSpinner"]');
  };
  const until = performance.now() + limit;
  for (let since = 0; ; await new Promise(done => setTimeout(done, 20))) {
    const now = performance.now();
    since = still() ? since || now : 0;
    if (since && now - since >= rest) return true;
    if (now > until) return false;
  }
}"""
SECONDS = 20.0
_MOVING = 3.0
_SETTLED = ("check", "click", "fill", "select_option")
_ACTS = (
    "check",
    "click",
    "evaluate",
    "fill",
    "focus",
    "hover",
    "inner_text",
    "input_value",
    "press",
    "select_option",
)


def have_patience() -> None:
    """Make it so for all pages of this process; twice is harmless."""
    for name in _ACTS:
        _patient(Locator, name)
    for name in dir(LocatorAssertions):
        if name.startswith(("to_", "not_to_")):
            _patient(LocatorAssertions, name)


def settle(page: Page, timeout: float = 30, rest: float = 0.35) -> bool:
    """Wait until the page is at rest and stays so for so many seconds; False if it never does."""
    until = time.monotonic() + timeout
    while (left := until - time.monotonic()) > 0:
        try:
            return bool(page.evaluate(AT_REST, [left * 1000, rest * 1000]))
        except Error:
            # It is leaving for another page.
            page.wait_for_timeout(50)
    return False


def chosen_by_key(page: Page, reach: Callable[[], None]) -> FileChooser:
    """The file dialog that Enter opens on what `reach` gives the focus; reached again when it was drawn anew meanwhile."""
    opened: list[FileChooser] = []

    def note(chooser: FileChooser) -> None:
        opened.append(chooser)

    page.on("filechooser", note)
    for _ in range(5):
        settle(page)
        reach()
        page.keyboard.press("Enter")
        until = time.monotonic() + 3
        while not opened and time.monotonic() < until:
            page.wait_for_timeout(50)
        if opened:
            break
    page.remove_listener("filechooser", note)
    assert len(opened) == 1, "Enter opens one file dialog"
    return opened[0]


def _patient(kind: type, name: str) -> None:
    once: Callable[..., Any] = getattr(kind, name)
    if hasattr(once, "__wrapped__"):
        return

    @wraps(once)
    def again(self: Any, *arguments: Any, **options: Any) -> Any:
        until = time.monotonic() + SECONDS
        if name in _SETTLED:
            settle(self.page, _MOVING, 0.08)
        while True:
            try:
                return once(self, *arguments, **options)
            except (Error, AssertionError) as refusal:
                if "strict mode violation" not in str(refusal) or time.monotonic() > until:
                    raise
                time.sleep(0.1)

    setattr(kind, name, again)
