"""Pictures of every screen: `python -m tests.browser.gallery OUT_DIR` starts the product, fills it, and looks.

One PNG per view, width and colour scheme, named VIEW-SCHEME-WIDTH.png. Views are addresses, so what a
picture shows is what a link to it opens.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.furnishing import STATES, Furnished, furnish
from tests.browser.patience import settle
from tests.browser.serving import Served, serving
from tests.servers import chromium

PARTS = ("Account", "People", "API keys", "Target models", "Tenants", "Keys")
# The list of ways in, and forms of each make: short, long, of a database, and of a feed that asks for a key.
CONNECTED = ("any", "folder", "postgres", "rest", "taxii", "feed:otx")
HEIGHTS = {1280: 800, 1600: 1000}


def views(there: Furnished) -> dict[str, str]:
    """Every screen and its main states: name and address."""
    found = {
        "home": "",
        "sources": "sources",
        "mapping": "mapping",
        "runs": "runs",
        "quarantine": "quarantine",
        "explorer": "explorer",
        "schedules": "schedules",
        "schedule-new": "schedules?schedule=new",
        "audit": "audit",
    }
    found |= {f"settings-{p.lower().replace(' ', '-')}": f"settings?{urlencode({'part': p})}" for p in PARTS}
    if there.source:
        found["source"] = f"sources?source={there.source}"
    if there.fresh:
        found["mapping-fresh"] = f"mapping?source={there.fresh}"
    if there.pipeline:
        found["mapping-studio"] = f"mapping?pipeline={there.pipeline}"
        found["mapping-field"] = f"mapping?pipeline={there.pipeline}&field=confidence"
        found["quarantine-pipeline"] = f"quarantine?pipeline={there.pipeline}"
    if there.run:
        found["run"] = f"runs?run={there.run}"
    if there.bundle_run:
        found["run-bundle"] = f"runs?run={there.bundle_run}"
        found["explorer-attack"] = "explorer?target=attack-pattern"
    if there.record[0]:
        target, id = there.record
        found["explorer-records"] = f"explorer?target={target}"
        found["explorer-none"] = f"explorer?target={target}&search=nothing-has-this"
        found["record"] = "explorer?" + urlencode({"target": target, "record": id})
    if there.schedule:
        found["schedule"] = f"schedules?schedule={there.schedule}"
    for kind, id in there.picked.items():
        found[f"source-{kind}"] = f"sources?source={id}"
    for kind in CONNECTED:
        found[f"connect-{kind.partition(':')[2] or kind}"] = f"sources?new={kind}"
    found["wrong-link"] = "runs?run=999999"
    return found


def opened(browser: Browser, served: Served, width: int, scheme: str, height: int = 0) -> Page:
    """A page of ada's at this width, in this scheme."""
    context = browser.new_context(
        viewport={"width": width, "height": height or HEIGHTS.get(width, 800)},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    context.add_cookies([{"name": "spire", "value": served.cookie, "url": served.url}])
    return context.new_page()


def show_whole(page: Page, width: int) -> None:
    """Make the window as tall as what is in it."""
    tall = page.evaluate("document.querySelector('[data-testid=\"stMain\"]')?.scrollHeight || 0")
    page.set_viewport_size({"width": width, "height": min(max(tall, 800), 6000)})
    settle(page, 10)


def main() -> None:
    """Take the pictures asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("out", type=Path, help="folder for the pictures")
    asked.add_argument(
        "--pages", default="", help="views to show, by the beginning of their names; all by default"
    )
    asked.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=ADDRESS",
        help="a further address, as mapping?pipeline={pipeline}",
    )
    asked.add_argument("--width", default="1280,1600")
    asked.add_argument("--scheme", default="light,dark")
    asked.add_argument("--state", default="full", choices=STATES)
    asked.add_argument(
        "--tall", action="store_true", help="the whole page, not only what is seen without scrolling"
    )
    told = asked.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = tempfile.mkdtemp(prefix="gallery-")
    with serving() as served, sync_playwright() as playwright:
        served.set_up()
        there = furnish(served, told.state)
        wanted = [name for name in told.pages.split(",") if name]
        shown = {n: a for n, a in views(there).items() if not wanted or any(n.startswith(w) for w in wanted)}
        for each in told.also:
            name, _, address = each.partition("=")
            shown[name] = address.format(**vars(there))
        browser = playwright.chromium.launch(executable_path=str(chromium.find()), args=chromium.ARGUMENTS)
        for scheme in told.scheme.split(","):
            for width in map(int, told.width.split(",")):
                page = opened(browser, served, width, scheme)
                for name, address in shown.items():
                    if told.tall:
                        page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 800)})
                    page.goto(f"{served.url}/{address}")
                    rested = settle(page)
                    if told.tall:
                        show_whole(page, width)
                    page.evaluate("document.fonts.ready")
                    page.screenshot(path=told.out / f"{name}-{scheme}-{width}.png")
                    print(f"{name}-{scheme}-{width}" + ("" if rested else ": never at rest"), flush=True)
                page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
