"""A publication: which records of a target model go to which other system, and how that one is reached."""

from __future__ import annotations

from typing import Any, Literal

from engine.model import Data, Name, Slug


class Publication(Data):
    """Records of a target model on their way out, through a connector that writes.

    `search`, `match` and `where` (`field=value` each) say which records, as exploring does; none means all. What
    was delivered and is `gone` here stays there, or is withdrawn.
    """

    id: Slug
    name: Name
    connector: Slug
    config: dict[str, Any]
    target: Slug
    search: str = ""
    match: Literal["part", "whole"] = "part"
    where: tuple[str, ...] = ()
    gone: Literal["leave", "withdraw"] = "leave"
