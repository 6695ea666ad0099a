"""Schedules over the API: how they stand, what they watch, and who had them run."""

from __future__ import annotations

from tests.app.conftest import House

DAILY = {"pipeline": "feed", "trigger": "cron", "spec": {"cron": "0 6 * * *"}, "time_zone": "Europe/Berlin"}


def test_a_new_schedule_stands_new_and_a_paused_one_paused(house: House) -> None:
    with house.served.client(key=house.keys["engineer"]) as http:
        made = http.post("/api/v1/schedules?tenant=default", json=DAILY).json()
        assert made["standing"]["state"] == "new"
        assert made["recent"] == []
        path = f"/api/v1/schedules/{made['id']}?tenant=default"
        assert http.put(path, json=DAILY | {"enabled": False}).json()["standing"]["state"] == "paused"
        assert http.delete(path).status_code == 204


def test_only_folders_the_administrator_opened_are_watched(house: House) -> None:
    arrival = DAILY | {"trigger": "arrival", "spec": {"folder": "/etc"}, "time_zone": "UTC"}
    with house.served.client(key=house.keys["engineer"]) as http:
        for asked in (
            http.post("/api/v1/schedules?tenant=default", json=arrival),
            http.post(
                "/api/v1/schedules/next?tenant=default",
                json={name: arrival[name] for name in ("trigger", "spec", "time_zone")},
            ),
        ):
            assert asked.status_code == 422
            assert "not open to schedules" in asked.text
            assert "SPIRE_FOLDERS" in asked.text


def test_what_does_not_fit_is_told_as_a_person_would_say_it(house: House) -> None:
    def told(trigger: str, spec: dict[str, object]) -> str:
        body = {"trigger": trigger, "spec": spec, "time_zone": "UTC"}
        with house.served.client(key=house.keys["engineer"]) as http:
            answer = http.post("/api/v1/schedules/next?tenant=default", json=body)
        assert (answer.status_code, answer.json()["where"]) == (422, "")
        return str(answer.json()["detail"])

    assert told("cron", {"cron": "0 99 * * *"}).startswith(
        "The hour “99” can't be read; numbers from 0 to 23 can"
    )
    assert told("cron", {"cron": "0 6 * * x"}).startswith("The weekday “x” can't be read")
    assert told("cron", {"cron": "soon"}).startswith("Cron has five fields: minute, hour")
    assert told("interval", {"seconds": 1}) == "Seconds: it is at least 10."
    assert told("arrival", {"folder": "feeds"}) == "Give the folder's whole path."


def test_who_had_it_run_out_of_turn_is_written_down(house: House) -> None:
    with house.served.client(key=house.keys["engineer"]) as http:
        made = http.post("/api/v1/schedules?tenant=default", json=DAILY).json()
        assert http.post(f"/api/v1/schedules/{made['id']}/fire?tenant=default").status_code == 202
    with house.served.client(cookie=house.admin) as http:
        # Others may have fired schedules of this house before.
        found = http.get("/api/v1/audit", params={"action": "fire-schedule"}).json()
        events = [event for event in found if event["object"] == made["id"]]
        assert len(events) == 1
        assert events[0]["who"].startswith("key:")
        summary = http.get(
            "/api/v1/audit/summary", params={"tenant": "default", "action": "fire-schedule"}
        ).json()
        assert {"value": "fire-schedule", "events": len(found)} in summary["action"]
        lines = http.get("/api/v1/audit/export", params={"action": "fire-schedule"}).text.splitlines()
        assert len(lines) == len(found)
        assert http.get(f"/api/v1/audit/{events[0]['seq']}").json()["action"] == "fire-schedule"
