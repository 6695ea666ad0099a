"""Every connector describes itself, reads all there is whatever it is like, and never holds it whole."""

from __future__ import annotations

import pytest

from connectors import CONNECTORS, NotConfigured, check
from tests.connectors.conformance import HERE, Impatience, Reader, Serving, every
from tests.connectors.harness import HARNESSES, LARGE

# What a reader may hold at once, against a payload or a round that is larger: whoever holds it whole fails.
HELD = 32 << 20


def test_every_connector_has_its_harness_and_no_other() -> None:
    assert set(HARNESSES) == set(CONNECTORS)


# ── what it says of itself ───────────────────────────────────────────────────────────────────────────


@every()
def test_it_describes_itself_and_a_check_of_it_holds(name: str, serving: Serving) -> None:
    connector = CONNECTORS[name]
    assert connector.title
    assert connector.summary
    schema = connector.config.model_json_schema()
    assert all(each.get("description") for each in schema["properties"].values())
    with serving(name, "some") as reading:
        stages = list(check(reading.source(), reading.hosts, reading.served.folders))
        assert stages
        assert all(stage.ok for stage in stages), stages
        with pytest.raises(NotConfigured):
            list(reading.payloads(unheard_of=1))


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


@every()
def test_two_readings_agree_and_fields_nobody_asked_for_are_kept(name: str, serving: Serving) -> None:
    with serving(name, "some") as reading:
        first, second = reading.read(), reading.read()
        # A cursor may hold the time of reading, so it is what was read that must agree.
        plain = reading.served.plain
        assert [(name, plain(data)) for name, data, _ in first] == [
            (name, plain(data)) for name, data, _ in second
        ]
        found = {id for _, data, _ in first for id in reading.served.in_payload(data)}
        assert found >= reading.served.records
        whole = b"".join(data for _, data, _ in first).decode("utf-8-sig")
        assert (
            reading.served.unheard in whole
            or reading.served.unheard.encode("unicode_escape").decode() in whole
        )


@every()
def test_from_every_cursor_it_gave_nothing_is_missed(name: str, serving: Serving) -> None:
    with serving(name, "some") as reading:
        came, error = reading.as_far_as_it_goes()
        assert error is None
        everything = {id for ids, _ in came for id in ids}
        for number, (_, cursor) in enumerate(came):
            before = {id for ids, _ in came[: number + 1] for id in ids}
            assert before | reading.records(cursor) == everything
        if came and came[-1][1] is not None and len(everything) > 3:
            assert len(reading.records(came[-1][1])) < len(everything)


@every(kind="empty")
def test_where_there_is_nothing_nothing_comes(name: str, serving: Serving) -> None:
    with serving(name, "empty") as reading:
        assert reading.records() == set()
        stages = list(check(reading.source(), reading.hosts, reading.served.folders))
        assert all(stage.ok or stage.action for stage in stages)


@every(kind="broken")
def test_a_broken_record_harms_no_other(name: str, serving: Serving, impatient: Impatience) -> None:
    with serving(name, "broken") as reading:
        with impatient():
            came, error = reading.as_far_as_it_goes()
        before = {id for ids, _ in came for id in ids}
        if error is None:
            assert before >= reading.served.records
        else:
            reading.served.mend()
            assert before | reading.records(came[-1][1] if came else None) == reading.served.records


@every(kind="lying")
def test_what_it_announces_is_not_taken_for_what_there_is(name: str, serving: Serving) -> None:
    with serving(name, "lying") as reading:
        assert reading.records() == reading.served.records


@every(kind="large")
def test_memory_stays_flat_however_much_there_is(name: str, serving: Serving, reader: Reader) -> None:
    with serving(name, "large") as reading:
        source = reading.source(reading.served.port or None)
        asked = {"source": source.model_dump(mode="json"), "hosts": HERE, "folders": reading.served.folders}
        found = reader(asked)
        assert found["size"] > LARGE * 0.9
        assert found["held"] < HELD, f"{found['held'] >> 20} MiB held of {found['size'] >> 20}"
