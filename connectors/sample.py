"""Built-in samples: small, made for this, and holding addresses and domains reserved for documentation only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.registry import Reach, connector
from engine.ports import Cursor, Payload, Stage


@dataclass(frozen=True)
class Sample:
    """A file to try things on."""

    name: str
    title: str
    summary: str
    format: str
    file: str


_SAMPLES = (
    Sample(
        "indicators",
        "A messy list of indicators",
        "A CSV as they come: defanged values, mixed dates, TLP in every spelling, repeats, broken lines",
        "csv",
        "indicators.csv",
    ),
    Sample(
        "campaign",
        "A campaign as a STIX 2.1 bundle",
        "An actor, its malware, indicators, relationships, a sighting and a report",
        "stix",
        "campaign.json",
    ),
    Sample(
        "phishing",
        "A phishing wave as a MISP event",
        "Attributes, a file object, composites and tags",
        "misp",
        "phishing.json",
    ),
)


def samples() -> tuple[Sample, ...]:
    """Every built-in sample."""
    return _SAMPLES


@connector("sample", title="Built-in sample", summary="A small file to try things on")
class Config(BaseModel):
    """Which sample."""

    model_config = ConfigDict(extra="forbid")

    sample: str = Field(
        default="indicators", description="Name of the sample: indicators, campaign or phishing."
    )

    @field_validator("sample")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in {each.name for each in _SAMPLES}:
            raise ValueError("there is no such sample")
        return value


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """A sample is always there."""
    yield Stage("sample", True, _sample(config.sample).title)


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """The sample, every time: loading one twice shows that nothing changes."""
    found = _sample(config.sample)
    data = resources.files("connectors").joinpath("samples", found.file).read_bytes()
    yield Payload(found.file, io.BytesIO(data), None)


def _sample(name: str) -> Sample:
    return next(each for each in _SAMPLES if each.name == name)
