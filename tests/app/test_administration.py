"""Administration over the API: tenants renamed, sign-ins listed and ended, the root key and the health told."""

from __future__ import annotations

from tests.app.conftest import House


def test_a_tenant_is_renamed_and_its_audit_level_changed(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        assert http.post("/api/v1/tenants", json={"id": "east"}).status_code == 201
        changed = http.patch(
            "/api/v1/tenants/east", json={"name": "East desk", "audit_level": "minimal"}
        ).json()
        assert (changed["name"], changed["audit_level"]) == ("East desk", "minimal")
        assert http.patch("/api/v1/tenants/east", json={"id": "west"}).status_code == 422
        event = http.get("/api/v1/audit", params={"action": "change-tenant"}).json()[0]
        assert "East desk" in event["after"]


def test_one_sees_where_one_is_signed_in_and_ends_another_place(house: House) -> None:
    other = house.served.sign_in()
    with house.served.client(cookie=house.admin) as http:
        found = http.get("/api/v1/me/sessions").json()
        assert [one["here"] for one in found].count(True) == 1
        newest = max((one for one in found if not one["here"]), key=lambda one: one["created"])
        assert http.delete(f"/api/v1/me/sessions/{newest['id']}").json() == {"ended": 1}
        assert http.delete("/api/v1/me/sessions/of-nobody").status_code == 404
    with house.served.client(cookie=other) as http:
        assert http.get("/api/v1/me").status_code == 401


def test_a_name_is_changed_by_whom_it_names(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        assert http.patch("/api/v1/me", json={"name": "Ada L."}).json()["name"] == "Ada L."
        assert http.get("/api/v1/me").json()["name"] == "Ada L."
    with house.served.client(key=house.keys["viewer"]) as http:
        assert http.patch("/api/v1/me", json={"name": "Robot"}).status_code == 409
        assert http.get("/api/v1/me/sessions").status_code == 409


def test_the_root_key_is_told_by_its_place_alone(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        told = http.get("/api/v1/keys").json()
    assert told["kind"] == "file"
    assert told["place"].endswith("root.key")
    assert told["changed"] is None
    assert (house.served.folder / "root.key").read_text().strip() not in str(told)


def test_the_doctor_looks_over_the_api_too(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        found = {one["name"]: one for one in http.get("/api/v1/doctor").json()}
    assert found["DuckDB"]["ok"]
    assert "serving" in found["port"]["detail"]
