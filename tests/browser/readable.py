"""Whether everybody can use a page: axe-core's rules, run in the page itself."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
# Streamlit's own, each with its reason: (rule, in what, why it is let pass).
EXEMPT: tuple[tuple[str, str, str], ...] = ()


@lru_cache(maxsize=1)
def _axe() -> str:
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """Grave violations of the page as it stands, each with its rule and the element; of these rules only, if given."""
    # Evaluated by the browser's debugger, which the page's policy does not bind.
    page.evaluate(_axe() + "\n;0")
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = rules
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{each['impact']} {each['id']}: {node['html'][:160]} – {(node['failureSummary'] or '')[:200]}"
        for each in found["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
        if not any(each["id"] == rule and part in node["html"] for rule, part, _ in EXEMPT)
    ]
