"""The settings of this command: `SPIRE_*` variables, and before them flags of the same names."""

from __future__ import annotations

import json
import os
from functools import cache

from pydantic import ValidationError

from app.settings import Settings
from engine.errors import Stop

_flags: dict[str, str] = {}


class BadSetting(Stop):
    """A setting can't be used as it is."""


def flag_of(name: str) -> str:
    """`data_dir` as a flag."""
    return f"--{name.replace('_', '-')}"


def take(arguments: list[str], not_ours: frozenset[str] = frozenset()) -> list[str]:
    """Keep the settings among the arguments for `settings()`, and give back the rest.

    A setting may stand anywhere, with its value after a space or `=`. What follows `--` is left alone.
    """
    known = {flag_of(name): name for name in Settings.model_fields if flag_of(name) not in not_ours}
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--":
            rest += [argument, *left]
            break
        flag, sign, value = argument.partition("=")
        if flag not in known:
            rest.append(argument)
            continue
        if not sign:
            found = next(left, None)
            if found is None:
                raise BadSetting(f"{flag} needs a value.", action="Give it after the flag.")
            value = found
        _flags[known[flag]] = value
    settings.cache_clear()
    return rest


@cache
def settings() -> Settings:
    """The settings as they stand. Errors: BadSetting, naming the flag and the variable."""
    try:
        return Settings(**_flags)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        told = str(first["msg"]).removeprefix("Value error, ")
        where = f"{flag_of(name)} (SPIRE_{name.upper()}): {told}." if name else f"{told}."
        raise BadSetting(where, action="Run `spire --help` for all settings.") from None


def described() -> list[tuple[str, str, str, str]]:
    """Every setting: flag, variable, default, description."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = json.dumps(default) if isinstance(default, list | dict) else str(default)
        plain = "" if default in (None, "", ()) else shown
        rows.append((flag_of(name), f"SPIRE_{name.upper()}", plain, field.description or ""))
    return rows


def remote() -> tuple[str, str] | None:
    """Another machine's server and our API key there, where `SPIRE_URL` names one."""
    url = os.environ.get("SPIRE_URL", "")
    return (url, os.environ.get("SPIRE_API_KEY", "")) if url else None
