"""The guide's pictures: `python -m tests.browser.pictures docs/images` starts what they show and takes them anew.

Real servers where one can run, else the stand-ins of the tests. `--only` takes some, by the beginning of their names.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.furnishing import furnish
from tests.browser.gallery import opened
from tests.browser.patience import have_patience, settle
from tests.browser.scenes import PAGES, SCREENS, Stage
from tests.browser.serving import serving
from tests.servers import chromium
from tests.servers.process import stop_all

WIDTH, HEIGHT = 1280, 800
SIDEBAR = 196
EVERYTHING = ".stMainBlockContainer > .stVerticalBlock > *"
ENDS = {"drift": ".st-key-flush-drift"}


def whole(page: Page, last: str) -> dict[str, float]:
    """The page without the sidebar, down to the last of these; the window is made as tall as that."""
    bottom = page.evaluate(
        "last => Math.max(...[...document.querySelectorAll(last)].map(e => e.getBoundingClientRect().bottom))"
        " + document.querySelector('[data-testid=stMain]').scrollTop", last,
    )  # fmt: skip
    page.set_viewport_size({"width": WIDTH, "height": max(HEIGHT, int(bottom) + 20)})
    settle(page)
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
    return {"x": SIDEBAR, "y": 0, "width": WIDTH - SIDEBAR, "height": int(bottom) + 12}


def save(png: bytes, path: Path) -> None:
    """In 256 colours, so that the guide stays small: its commonest ones as they are, and some for what is rare."""
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    packed = np.asarray(drawn).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    colours, place, counts = np.unique(packed, return_inverse=True, return_counts=True)
    parts = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], 1).astype(int)
    rare = drawn.quantize(160, Image.Quantize.MAXCOVERAGE).getpalette() or []
    kept = np.concatenate([parts[np.argsort(-counts)[:96]], np.array(rare[:480]).reshape(-1, 3)])
    nearest = ((parts[:, None] - kept[None]) ** 2).sum(2).argmin(1).astype(np.uint8)
    small = Image.fromarray(nearest[place].reshape(drawn.height, drawn.width), "P")
    small.putpalette(kept.astype(np.uint8).tobytes())
    small.save(path, optimize=True)


def main() -> None:
    """Take the pictures asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("out", type=Path, help="folder for the pictures")
    asked.add_argument("--only", default="", help="names, by their beginning; all by default")
    told = asked.parse_args()
    wanted = [name for name in told.only.split(",") if name]
    os.environ["HOME"] = tempfile.mkdtemp(prefix="pictures-")
    have_patience()
    expect.set_options(timeout=30_000)
    servers, box = Path(tempfile.mkdtemp(prefix="ps")), Path(tempfile.mkdtemp(prefix="pb"))
    servers.chmod(0o755)
    try:
        with (
            serving(SPIRE_URL_ALLOW="127.0.0.1", SPIRE_FOLDERS=str(box)) as served,
            sync_playwright() as playwright,
        ):
            served.set_up()
            there = furnish(served, "full")
            browser = playwright.chromium.launch(
                executable_path=str(chromium.find()), args=chromium.ARGUMENTS
            )
            for name, show in {**SCREENS, **PAGES}.items():
                if wanted and not any(name.startswith(each) for each in wanted):
                    continue
                page = opened(browser, served, WIDTH, "light", HEIGHT)
                with ExitStack() as stack:
                    show(Stage(page, served, there, servers, box, stack))
                    settle(page)
                    page.evaluate("document.fonts.ready")
                    clip = whole(page, ENDS.get(name, EVERYTHING)) if name in PAGES else None
                    save(page.screenshot(clip=clip), told.out / f"{name}.png")  # type: ignore[arg-type]
                page.context.close()
                print(name, flush=True)
            browser.close()
    finally:
        stop_all(servers)
        shutil.rmtree(box, ignore_errors=True)


if __name__ == "__main__":
    main()
