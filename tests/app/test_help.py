"""The guide is served by the product: whole, with its pictures, to whoever is signed in, and asks nobody else."""

from __future__ import annotations

import re

from app import help
from tests.app.conftest import House


def test_every_page_of_the_guide_is_there_and_every_link_leads_to_one() -> None:
    names = help.pages()
    assert {"", "files", "mapping", "rules", "quarantine", "schedules", "operations", "keys"} <= names.keys()
    for name in names:
        page = help.render(name)
        assert page is not None
        assert page.title
        for link in re.findall(r'(?:href|src)="(/[^"#]*)', page.body):
            place = link.removeprefix("/help").removeprefix("/")
            known = (
                help.image(place.removeprefix("images/")) if place.startswith("images/") else place in names
            )
            assert known, f"{name}: {link}"


def test_what_a_page_holds_as_html_is_shown_as_text() -> None:
    for name in help.pages():
        page = help.render(name)
        assert page is not None
        assert "<script" not in page.body


def test_the_guide_is_for_whoever_is_signed_in(house: House) -> None:
    with house.served.client() as http:
        assert http.get("/help/rules").headers["location"] == "/sign-in?next=/help/rules"
        assert http.get("/help/images/home.png").status_code == 404
    with house.served.client(cookie=house.admin) as http:
        assert "Severity" in http.get("/help/rules").text or "severity" in http.get("/help/rules").text
        assert http.get("/help/images/home.png").headers["content-type"] == "image/png"
        assert http.get("/help/none-such").status_code == 404
        assert http.get("/help/images/..%2f..%2fREADME.md").status_code in {400, 404}
