"""Files of a bucket: Amazon S3 and whatever speaks its language, at the endpoint the source names."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.addresses import Resolve, resolve
from connectors.registry import Reach, connector
from connectors.remote import Pattern, first_file, pattern_field, read_new, wanted
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import tls, web_address
from engine.errors import SpireError
from engine.ports import Cursor, Payload, Stage


@connector(
    "s3",
    title="S3 bucket",
    summary="New and changed files of Amazon S3 or compatible storage",
    capabilities={"incremental"},
)
class Config(BaseModel):
    """Which bucket, where it is, how to sign in, and which files to take."""

    model_config = ConfigDict(extra="forbid")

    bucket: str = Field(description="The bucket's name.", pattern=r"^[\w.-]+$", max_length=255)
    folder: str = Field(
        default="", description="Where in the bucket to begin, such as feeds/daily.", max_length=1000
    )
    pattern: str = pattern_field()
    key_id: str = Field(
        title="Access key id", default="", description="None where the bucket is public.", max_length=200
    )
    secret: SecretStr = Field(
        title="Secret access key", default=SecretStr(""), description="The access key's secret."
    )
    token: SecretStr = Field(
        json_schema_extra={"further": True},
        title="Session token",
        default=SecretStr(""),
        description="Where the access key is a temporary one.",
    )
    endpoint: str = Field(
        default="https://s3.amazonaws.com",
        description="Address of the storage; of Amazon the region's own, such as https://s3.eu-central-1.amazonaws.com.",
        max_length=1000,
    )
    region: str = Field(default="us-east-1", description="The bucket's region.", pattern=r"^[\w-]+$")
    path_style: bool = Field(
        json_schema_extra={"further": True},
        default=True,
        description="The bucket's name stands in the path, not before the host's name.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )

    @field_validator("endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value)

    @field_validator("folder")
    @classmethod
    def _inside(cls, value: str) -> str:
        return value.strip("/")

    @model_validator(mode="after")
    def _whole_key(self) -> Config:
        if bool(self.key_id) != bool(self.secret.get_secret_value()):
            raise ValueError("key_id and secret belong together")
        return self


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, sign-in, files, first file; each failure with what to do."""
    from connectors.places.s3 import connected  # the client is slow to load

    stage = "name"
    try:
        sent = CREDENTIAL if config.key_id else ""
        yield from led_to(config.endpoint, reach, sent=sent, context=tls(config.authority, ""))
        stage = "sign-in"
        with connected(config, reach, resolve) as bucket:
            bucket.page("", "", 1)
            yield Stage("sign-in", True, f"as {config.key_id}" if config.key_id else "without a key")
            stage = "files"
            yield from first_file(bucket, wanted(bucket, Pattern(config.pattern)), config.pattern)
    except SpireError as error:
        yield failed(stage, error, _ADVICE[stage])


_ADVICE = {
    "name": "Check the endpoint.",
    "sign-in": "Check the bucket, its region and the access key.",
    "files": "Check what this access key may read.",
}


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Each new or changed file with the cursor after it."""
    from connectors.places.s3 import connected  # the client is slow to load

    with connected(config, reach, resolver) as bucket:
        yield from read_new(bucket, Pattern(config.pattern), since)
