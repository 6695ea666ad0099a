"""Credentials on the command line: secrets come over standard input and go nowhere else."""

from __future__ import annotations

from tests.cli.conftest import Spire

SECRET = "the-secret-of-the-members"


def test_a_credential_is_added_listed_and_removed_without_its_secret_being_said(inside: Spire) -> None:
    made = inside(
        "credential", "add", "Members", "--to", "taxii.example", "--expires", "2031-05-01", "--json", text=f"{SECRET}\n"
    )  # fmt: skip
    assert (made.code, made.json["id"], made.json["hosts"]) == (0, "members", ["taxii.example"])
    listed = inside("credential", "list", "--json")
    assert [(one["id"], one["state"], one["expires"][:10]) for one in listed.json] == [
        ("members", "open", "2031-05-01")
    ]
    rotated = inside("credential", "rotate", "members", "--expires", "2020-01-01", "--json", text=SECRET)
    assert rotated.json["rotated"]
    doctor = inside("doctor")
    assert "default: 1 ended" in doctor.out
    removed = inside("credential", "remove", "members", "--json")
    assert removed.json == {"id": "members", "removed": True}
    assert inside("credential", "list").out == "Nothing here.\n"
    for answer in (made, listed, rotated, removed):
        assert SECRET not in answer.out + answer.err


def test_what_is_not_there_or_not_given_is_said_plainly(inside: Spire) -> None:
    nothing = inside("credential", "add", "Members", "--to", "taxii.example", text="")
    assert nothing.code == 1
    assert "There was no secret to keep." in nothing.err
    assert inside("credential", "check", "no-such").code == 1
    assert "SPIRE_CREDENTIAL_" in inside(
        "credential", "add", "X", "--to", "a.example", "--variable", "lower case"
    ).err  # fmt: skip
