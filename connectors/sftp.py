"""Files of an SFTP server: signed in only where its host key is the one a person accepted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach, connector
from connectors.remote import Pattern, first_file, pattern_field, read_new, wanted
from connectors.stages import failed, leads
from engine.errors import SpireError
from engine.ports import Cursor, Payload, Stage


@connector(
    "sftp",
    title="SFTP server",
    summary="New and changed files of a folder reached over SSH",
    capabilities={"incremental"},
)
class Config(BaseModel):
    """Where the files are, how to sign in, and which of them to take."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="The server's name or address.", min_length=1, max_length=255)
    port: int = Field(default=22, ge=1, le=65535, description="The server's port.")
    username: str = Field(description="Account to read with.", min_length=1, max_length=200)
    password: SecretStr = Field(
        default=SecretStr(""), description="The account's password, or that of the private key."
    )
    key: SecretStr = Field(
        json_schema_extra={"lines": 4},
        title="Private key",
        default=SecretStr(""),
        description="The account's private key (PEM or OpenSSH), where it signs in with one.",
    )
    host_key: list[str] = Field(
        default=[],
        description="The server's host key as a fingerprint, SHA256:…; Try the connection shows it, to compare and accept.",
    )
    path: str = Field(
        title="Folder",
        default=".",
        description="The folder, from the account's own one on or from /.",
        max_length=2000,
        min_length=1,
    )
    pattern: str = pattern_field()
    settle_seconds: float = Field(
        json_schema_extra={"further": True},
        default=10.0,
        ge=0,
        description="How long a file must have been left alone, by our clock.",
    )

    @field_validator("host_key")
    @classmethod
    def _fingerprints(cls, value: list[str]) -> list[str]:
        if not all(each.strip().startswith("SHA256:") for each in value):
            raise ValueError("give it as SHA256:…, the way ssh-keygen -lf writes it")
        return [each.strip().rstrip("=") for each in value]


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, host key, sign-in, folder, first file; each failure with what to do."""
    from connectors.places.sftp import Folder, UnknownHost, greeted, signed_in  # the client is slow to load

    stage = "name"
    try:
        addresses = checked(config.host, config.port, reach.hosts)
        yield Stage("name", True, leads(config.host, addresses))
        stage = "host key"
        with greeted(config, addresses) as transport:
            shown = transport.get_remote_server_key()
            yield Stage("host key", True, f"{shown.fingerprint} ({shown.get_name()})")
            stage = "sign-in"
            reach.carries(config.host, config.port)
            with signed_in(config, transport) as server:
                yield Stage("sign-in", True, f"as {config.username}")
                stage = "files"
                folder = Folder(server, config)
                yield from first_file(folder, wanted(folder, Pattern(config.pattern)), config.pattern)
    except SpireError as error:
        told = failed(stage, error, _ADVICE[stage])
        yield (
            replace(told, accept=("host_key", error.fingerprint)) if isinstance(error, UnknownHost) else told
        )


_ADVICE = {
    "name": "Check the server's name.",
    "host key": "Check the port, and that SSH answers there.",
    "sign-in": "Check the account, its password and its key.",
    "files": "Check the folder and the pattern.",
}


def read(
    config: Config, since: Cursor | None, reach: Reach, resolver: Resolve = resolve
) -> Iterator[Payload]:
    """Each new or changed file with the cursor after it."""
    from connectors.places.sftp import Folder, greeted, signed_in  # the client is slow to load

    reach.carries(config.host, config.port)
    addresses = checked(config.host, config.port, reach.hosts, resolver)
    with greeted(config, addresses) as transport, signed_in(config, transport) as server:
        yield from read_new(Folder(server, config), Pattern(config.pattern), since, config.settle_seconds)
