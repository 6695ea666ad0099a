"""Browsing on the wire: what a server holds that a source could be made of."""

from __future__ import annotations

from pydantic import Field

from app.tenant.schemas import Answer


class HeldView(Answer):
    """A column or field, its type as the server calls it, and whether it is the key."""

    name: str
    type: str
    key: bool = False


class PlaceView(Answer):
    """A table, view, collection or object. `rows` is the server's estimate; it may tell columns only if asked for one."""

    name: str
    kind: str
    rows: int | None = None
    columns: list[HeldView]


class Browsed(Answer):
    """What is there, and which settings of the connector take the choice."""

    places: list[PlaceView]
    setting: str = Field(
        description="The setting that takes a place's name; none: each place's name is the setting that takes its columns."
    )
    choosing: str = Field(description="The setting that takes the columns to read; none means all.")
    whole: bool = Field(description="Whether these are all; a server with very many shows the first.")
