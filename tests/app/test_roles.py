"""Every route of the API is in the table, and each role is tried on each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from app.gateway.description import METHODS, PREFIX, combined
from app.roles import GRANTS, TABLE, Permission, Role, allows, find, templates
from app.tenant.api import build
from tests.app.conftest import House

TENANT_ROLES = tuple(role.value for role in Role)
INSTALLATION = {"installation-administrator": {Permission.INSTALL, Permission.INSTALL_AUDIT}}
INSTALLATION["installation-auditor"] = {Permission.INSTALL_AUDIT}


@pytest.fixture(scope="module")
def document(house: House) -> dict[str, object]:
    with house.served.client(key=house.keys["viewer"]) as http:
        control = http.get("/api/openapi.json").raise_for_status().json()

    class Control:
        @staticmethod
        def openapi() -> dict[str, object]:
            control["paths"] = {
                p: item for p, item in control["paths"].items() if not p.startswith(PREFIX + "/")
            }
            return control

    return combined(Control, build(lambda: None))  # type: ignore[arg-type,return-value]


def routes(document: dict[str, object]) -> Iterator[tuple[str, str]]:
    for path, item in document["paths"].items():  # type: ignore[attr-defined]
        for method in METHODS:
            if method in item:
                yield method.upper(), path


def test_every_route_of_the_api_is_in_the_table(document: dict[str, object]) -> None:
    for method, path in routes(document):
        inside = path.startswith(PREFIX + "/")
        where = ("tenant", method, path.removeprefix(PREFIX)) if inside else ("control", method, path)
        plain = (where[0], method, re.sub(r":path}", "}", where[2]))
        assert plain in templates(), f"{method} {path} has no line in app/roles.py"


def test_the_table_names_no_route_that_is_not_there(document: dict[str, object]) -> None:
    there = {(method, re.sub(r"\{[^}]+\}", "{}", path)) for method, path in routes(document)}
    for entry in TABLE:
        whole = entry.path if entry.where == "control" else PREFIX + entry.path
        assert (entry.method, re.sub(r"\{[^}]+\}", "{}", whole)) in there, (
            f"{entry.method} {whole} is no route"
        )


def test_each_role_is_let_in_where_the_table_says_and_nowhere_else(
    house: House, document: dict[str, object]
) -> None:
    wrong = []
    for role, key in house.keys.items():
        with house.served.client(key=key) as http:
            for method, path in routes(document):
                inside = path.startswith(PREFIX + "/")
                rest = path.removeprefix(PREFIX) if inside else path
                entry = find("tenant" if inside else "control", method, re.sub(r"\{[^}]+\}", "x", rest))
                assert entry is not None
                if role in TENANT_ROLES:
                    allowed = entry.permission is Permission.SELF or allows(entry.permission, Role(role))
                else:
                    allowed = entry.permission is Permission.SELF or entry.permission in INSTALLATION[role]
                tried = re.sub(r"\{[^}]+\}", "x", path.replace("{tenant}", "default"))
                code = http.request(method, tried, params={"tenant": "default"}).status_code
                if (code not in {401, 403}) != allowed or (not allowed and code != 403):
                    wrong.append(f"{role}: {method} {path} gave {code}, allowed: {allowed}")
    assert not wrong, "\n".join(wrong)


def test_nobody_gets_anywhere_without_saying_who(house: House, document: dict[str, object]) -> None:
    with house.served.client() as http:
        for method, path in routes(document):
            tried = re.sub(r"\{[^}]+\}", "x", path.replace("{tenant}", "default"))
            assert http.request(method, tried).status_code == 401, f"{method} {path}"


def test_a_key_that_was_revoked_or_made_up_opens_nothing(house: House) -> None:
    with house.served.client(cookie=house.served.sign_in()) as http:
        made = http.post("/api/v1/api-keys", json={"name": "x", "tenant": "default", "role": "viewer"}).json()
        with house.served.client(key=made["key"]) as theirs:
            assert theirs.get("/api/v1/me").status_code == 200
            http.delete(f"/api/v1/api-keys/{made['id']}").raise_for_status()
            assert theirs.get("/api/v1/me").status_code == 401
    with house.served.client(key=made["key"][:-1] + "_") as http:
        assert http.get("/api/v1/me").status_code == 401


def test_literal_segments_win_over_parameters() -> None:
    causes = find("tenant", "GET", "/rejects/causes")
    assert causes is not None
    assert causes.path == "/rejects/causes"


def test_the_roles_contain_each_other_and_the_auditor_stands_beside() -> None:
    reach = {role: {p for p, roles in GRANTS.items() if role in roles} for role in Role}
    assert reach[Role.VIEWER] < reach[Role.ANALYST] < reach[Role.ENGINEER] < reach[Role.ADMINISTRATOR]
    assert reach[Role.AUDITOR] == {Permission.READ, Permission.AUDIT}
