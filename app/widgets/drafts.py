"""Drafts as a page holds them: the tenant's shared draft, this page's own view of it, and what others did to it.

Every edit goes to the server at once, based on the revision this page knows. Where somebody was faster, the
newer state is taken up; this person's own edit is put on top where it touches other parts, and else offered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from app.client import Client
from app.tenant.schemas.drafts import DraftHead
from app.widgets import access
from app.widgets.whole import whole
from app.wire import Refused
from engine.errors import SpireError

Data = dict[str, Any]
Edit = dict[tuple[Any, ...], Any]
# What each page looks at by itself; everything else is shared.
OWN = frozenset(
    {"subject", "at", "saved", "saved_as", "suggested", "extent", "fits", "of", "newest", "newest_by"}
)
CONFLICT = 409


@dataclass(frozen=True)
class Heard:
    """What somebody else did to the draft. `mine` is this person's own edit where it could not be kept."""

    who: str
    at: datetime
    parts: list[str]
    mine: Edit | None = None
    kept: bool = False


@dataclass
class Draft:
    """What is being written. `past` and `future` say how many edits can be undone and redone."""

    subject: str
    content: Data
    own: Data = field(default_factory=dict)
    revision: int = 0
    past: int = 0
    future: int = 0
    who: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    present: list[str] = field(default_factory=list)
    heard: Heard | None = None

    @property
    def now(self) -> Data:
        """All of it, the shared and this page's own."""
        return {**self.content, **self.own, "subject": self.subject}

    def look(self, **own: Any) -> None:
        """Change what this page alone looks at."""
        self.own.update(own)

    @whole
    def edit(self, **changes: Any) -> None:
        """One undoable change, kept on the server before it counts here."""
        self.look(**{name: value for name, value in changes.items() if name in OWN})
        shared = {name: copy.deepcopy(value) for name, value in changes.items() if name not in OWN}
        after = {**self.content, **shared}
        if after != self.content and self._told(lambda client: self._put(client, after), after):
            self.content = after
            self.heard = None

    @whole
    def undo(self) -> None:
        """Back to before the last change."""
        self._told(lambda client: self._take(client.undo_draft(self.subject, self.revision)))

    @whole
    def redo(self) -> None:
        """What was undone last, again."""
        self._told(lambda client: self._take(client.redo_draft(self.subject, self.revision)))

    def hush(self) -> None:
        """The person has heard what others did."""
        self.heard = None

    @whole
    def mine_again(self) -> None:
        """Put this person's own edit, which somebody was faster than, on top after all."""
        heard, self.heard = self.heard, None
        if heard is not None and heard.mine is not None:
            self.edit(**laid(self.content, heard.mine))

    def _put(self, client: Client, after: Data) -> None:
        if not self.revision:
            # The first edit can be undone too, so what was before it is kept as well.
            self._stand(client.put_draft(self.subject, self.content, 0))
        self._stand(client.put_draft(self.subject, after, self.revision))

    def _told(self, action: Callable[[Client], None], after: Data | None = None) -> bool:
        """Do it; what stands in the way is shown at the head of the page, and a newer state is taken up."""
        client = access.client()
        try:
            action(client)
            return True
        except SpireError as problem:
            if not (isinstance(problem, Refused) and problem.status == CONFLICT):
                st.session_state["problem"] = problem
                return False
            return self._overtaken(client, after)

    def _overtaken(self, client: Client, after: Data | None) -> bool:
        before, newer = self.content, client.draft(self.subject)
        mine = changed(before, after) if after is not None else {}
        if newer.content is None:
            # Saved or put away: the page begins anew from what is saved, and offers the edit there.
            st.session_state[f"{_place(self.subject)}-mine"] = mine
            return False
        theirs = changed(before, newer.content)
        self._take(newer)
        names = told(theirs)
        apart = not (mine.keys() & theirs.keys()) and ("mappings",) not in {*mine, *theirs}
        if mine and apart:
            self.edit(**laid(self.content, mine))
            self.heard = Heard(newer.who, _aware(newer.at), names, kept=True)
        else:
            self.heard = Heard(newer.who, _aware(newer.at), names, mine=mine or None)
        return False

    def _take(self, view: Any) -> None:
        """Take up a state of the server's."""
        self.content = dict(view.content)
        self._stand(view)

    def _stand(self, head: DraftHead) -> None:
        self.revision, self.past, self.future, self.who = head.revision, head.past, head.future, head.who
        self.at = _aware(head.at)
        me = access.principal().user
        self.present = [each.who for each in head.present if each.who != me]


def draft(client: Client, subject: str, begin: Callable[[], Data]) -> Draft:
    """The tenant's draft of a subject as it stands now; `begin` gives the content where there is none yet."""
    place = _place(subject)
    kept: Draft | None = st.session_state.get(place)
    view = client.draft(subject, known=kept.revision if kept and kept.revision else None)
    if not view.revision:
        if kept is None or kept.revision:
            gone, mine = kept, st.session_state.pop(f"{place}-mine", None)
            kept = Draft(subject, begin())
            if gone is not None:
                kept.heard = Heard("", kept.at, [], mine=mine)
    elif kept is None or not kept.revision:
        before = kept.content if kept else None
        kept = Draft(subject, dict(view.content or {}))
        kept._stand(view)
        if before is not None and kept.who != access.principal().user:
            kept.heard = Heard(view.who, kept.at, told(changed(before, kept.content)))
    elif view.revision != kept.revision:
        parts = changed(kept.content, view.content or {})
        kept._take(view)
        kept.heard = Heard(view.who, kept.at, told(parts))
    else:
        kept._stand(view)
    st.session_state[place] = kept
    return kept


def end(subject: str, revision: int | None = None) -> None:
    """Put a draft away; only if it still is this revision, where one is given."""
    access.client().end_draft(subject, revision or None)
    st.session_state.pop(_place(subject), None)


def saved(edited: Draft) -> None:
    """Its content is a version now. What somebody changed in that very moment stays a draft."""
    st.session_state.pop(_place(edited.subject), None)
    if edited.revision:
        with suppress(Refused):
            access.client().end_draft(edited.subject, edited.revision)


def parts(content: Data) -> Edit:
    """A content in the parts two people can change side by side: each field of each mapping, its rules, its filter."""
    found: Edit = {(name,): value for name, value in content.items() if name != "mappings"}
    for place, mapping in enumerate(content.get("mappings", [])):
        head = (place, mapping["target"])
        for item in mapping.get("fields", []):
            found[*head, "fields", item["field"]] = item
        for name, value in mapping.items():
            if name not in ("target", "fields"):
                found[*head, name] = value
    return found


def changed(before: Data, after: Data) -> Edit:
    """The parts that differ, as they are after; None for one that is gone."""
    if [m["target"] for m in before.get("mappings", [])] != [m["target"] for m in after.get("mappings", [])]:
        return {("mappings",): after.get("mappings", [])}
    one, two = parts(before), parts(after)
    return {part: two.get(part) for part in {**one, **two} if one.get(part) != two.get(part)}


def laid(content: Data, edit: Edit) -> Data:
    """What changes in a content when an edit's parts are laid over it."""
    if ("mappings",) in edit:
        return {"mappings": edit["mappings",]}
    found: Data = {part[0]: value for part, value in edit.items() if len(part) == 1}
    mappings = copy.deepcopy(content.get("mappings", []))
    for part, value in edit.items():
        if len(part) == 1 or part[0] >= len(mappings):
            continue
        mapping = mappings[part[0]]
        if part[2] == "fields":
            fields = mapping["fields"]
            place = next((i for i, f in enumerate(fields) if f["field"] == part[3]), len(fields))
            fields[place : place + 1] = [value] if value is not None else []
        elif value is None:
            mapping.pop(part[2], None)
        else:
            mapping[part[2]] = value
    return {**found, "mappings": mappings}


def told(edit: Edit) -> list[str]:
    """What an edit touches, in words."""
    words = {
        "where": "which rows", "explode": "rows from a list", "mappings": "the target model", "name": "the name",
        "error_threshold": "when a run fails",
    }  # fmt: skip
    return [str(part[3]) if len(part) > 3 else words.get(str(part[-1]), str(part[-1])) for part in edit]


def _place(subject: str) -> str:
    return f"draft-{access.tenant()}-{subject}"


def _aware(at: datetime | None) -> datetime:
    moment = at or datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
