"""Of two circles of people the narrower never holds anybody who is not in both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from engine.types.distribution import ALL, GROUP, INHERIT, OWN, Circle, circle_of, narrower

EVERYBODY = frozenset({"own", "community", "connected", "partner", "stranger"})
MEMBERS = {
    0: {"own"},
    1: {"own", "community"},
    2: {"own", "community", "connected"},
    3: EVERYBODY,
}
GROUPS = {"g1": {"own", "partner"}, "g2": {"own", "community", "stranger"}}
CIRCLES = some.one_of(
    some.integers(0, 3).map(Circle),
    some.just(Circle(INHERIT)),
    some.sampled_from(sorted(GROUPS)).map(lambda name: Circle(GROUP, name, {"uuid": name})),
)


def members(circle: Circle) -> frozenset[str]:
    if circle.level == INHERIT:
        return EVERYBODY
    return frozenset(GROUPS[circle.group] if circle.level == GROUP else MEMBERS[circle.level])


@given(CIRCLES, CIRCLES, CIRCLES)
def test_nobody_is_in_the_narrower_circle_who_is_not_in_all(one: Circle, two: Circle, three: Circle) -> None:
    found = narrower(narrower(one, two), three)
    assert members(found) <= members(one) & members(two) & members(three)
    assert narrower(one, one) == one
    assert narrower(one, two) == narrower(two, one)


@given(CIRCLES)
def test_what_is_written_and_read_again_is_the_same_circle(circle: Circle) -> None:
    assert circle_of(circle.fields(), INHERIT) == circle


def test_nonsense_and_a_group_nobody_describes_are_for_ones_own_organisation() -> None:
    assert circle_of({"distribution": "7"}, ALL) == Circle(OWN)
    assert circle_of({"distribution": 4, "sharing_group_id": "12"}, ALL).fields() == {"distribution": "0"}
    assert circle_of({"distribution": None}, INHERIT) == Circle(INHERIT)
    assert narrower(circle_of({"distribution": "4"}, OWN), circle_of({"distribution": "4"}, OWN)) == Circle(
        OWN
    )
