"""Asking: what a request wants of a target model's records, read from its parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query

from app.problems import Problem
from storage.filters import Filter


def asked(
    search: Annotated[
        str, Query(max_length=500, description="Text in any field; a defanged indicator finds the plain one.")
    ] = "",
    match: Annotated[
        Literal["part", "whole"], Query(description="Whether the text is part of a field or all of it.")
    ] = "part",
    where: Annotated[
        list[str],
        Query(
            description="`field=value`, several times: values of one field are alternatives. `field=` is no "
            "value, `field=from..to` a span of numbers or times, `_pipeline=id` what a pipeline brought."
        ),
    ] = [],  # noqa: B006
    run: Annotated[int | None, Query(description="Only records of this run.")] = None,
) -> Filter:
    """The filter a request asks for."""
    pairs = []
    for each in where:
        name, sign, value = each.partition("=")
        if not sign:
            raise Problem(422, "A filter has the form field=value.", where=each)
        pairs.append((name, value))
    return Filter(search.strip(), match == "whole", tuple(pairs), run)


Asked = Annotated[Filter, Depends(asked)]
