"""The three things that can go wrong: wait (`Retry`), ask a person (`Stop`), or fix us (`Bug`).

A subclass's docstring is the sentence a person reads; the instance adds where. Messages never
carry a secret or a record's content. A bad row is a `Reject`, never one of these.
"""

from __future__ import annotations

import inspect


class SpireError(Exception):
    """Something went wrong."""

    def __init__(self, where: str = "", *, action: str = "") -> None:
        super().__init__(where)
        self.where = where
        self.action = action

    @property
    def title(self) -> str:
        """The sentence for a person: what happened."""
        return inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0].replace("\n", " ")

    @property
    def happened(self) -> str:
        """The same without what a run will do about it: whoever only tries a connection has no run."""
        return self.title.split(" We will ")[0]

    def __str__(self) -> str:
        return " ".join(part for part in (self.title, self.where, self.action) if part)


class Retry(SpireError):
    """This did not work now and will be tried again."""


class Stop(SpireError):
    """This needs a person before it can go on."""


class Bug(SpireError):
    """Phantom Spire made a mistake here. Nothing was changed."""
