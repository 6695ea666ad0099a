"""Settings: every one is a `SPIRE_*` variable, and a command-line flag of the same name."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ByteSize, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from engine.errors import Stop

# sun_path holds 108 bytes with its NUL; uvicorn also needs room for nothing else, so 100 is safe.
SOCKET_PATH_LIMIT = 100
# What a credential's value may be read from, and what no worker inherits: it is handed those of its tenant.
VARIABLE = "SPIRE_CREDENTIAL_"

Words = Annotated[tuple[str, ...], NoDecode]


class UnsafeFolder(Stop):
    """A folder for our sockets belongs to somebody else or is open to others."""


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "phantom-spire"


class Settings(BaseSettings):
    """What an installation may decide. Nothing here is secret: keys and passphrases are named by file."""

    model_config = SettingsConfigDict(env_prefix="SPIRE_", frozen=True, extra="ignore", validate_default=True)

    data_dir: Path = Field(
        default_factory=lambda: _xdg("XDG_DATA_HOME", ".local/share"),
        description="Where tenants and the control database live.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8501, ge=0, le=65535, description="Port to listen on.")
    tls_cert: Path | None = Field(default=None, description="Certificate chain (PEM); serves https, TLS 1.3.")
    tls_key: Path | None = Field(default=None, description="Private key of the certificate (PEM).")
    public_url: str = Field(
        default="", description="Address people type, where it differs from host and port."
    )
    allowed_hosts: Words = Field(default=(), description="Host headers accepted, with port, comma-separated.")
    allowed_origins: Words = Field(default=(), description="Origins accepted from browsers, comma-separated.")
    trusted_proxies: Words = Field(
        default=(), description="Proxies whose X-Forwarded-* headers are believed."
    )

    kek: Literal["file", "passphrase"] = Field(default="file", description="What wraps the tenants' keys.")
    key_file: Path = Field(
        default_factory=lambda: _xdg("XDG_CONFIG_HOME", ".config") / "root.key",
        description="Root key file; keep it outside the data folder and back it up apart from it.",
    )
    passphrase_file: Path | None = Field(default=None, description="File holding the root passphrase.")
    database_url: str = Field(
        default="", description="Control database; SQLite in the data folder by default."
    )

    audit_level: Literal["minimal", "standard", "comprehensive"] = Field(
        default="standard",
        description="minimal: changes; standard: and access; comprehensive: and every read.",
    )
    worker_memory: ByteSize = Field(default=ByteSize(1 << 30), description="Memory for one tenant's worker.")
    worker_threads: int = Field(default=2, ge=1, le=64, description="Parallel stages of one run.")
    worker_idle: float = Field(default=900.0, gt=0, description="Seconds without work before a worker stops.")
    worker_start: float = Field(default=60.0, gt=0, description="Seconds a worker may take to start.")
    upload_limit: ByteSize = Field(default=ByteSize(64 << 30), description="Largest payload accepted.")
    url_allow: Words = Field(
        default=(), description="Hosts a URL source may reach although they are private, comma-separated."
    )

    folders: Words = Field(default=(), description="Folders that folder sources may read, comma-separated.")
    environment_allow: Words = Field(
        default=(),
        description="Which tenant may use which variable as a credential, comma-separated: acme:OTX lets tenant acme use SPIRE_CREDENTIAL_OTX.",
    )
    vault_address: str = Field(
        default="", description="HashiCorp Vault or OpenBao that credentials may be read from."
    )
    vault_token_file: Path | None = Field(
        default=None,
        description="File holding the vault's token, read at each use; {tenant} in its name stands for the tenant.",
    )
    vault_authority: Path | None = Field(
        default=None, description="Certificate of the authority to trust for the vault (PEM)."
    )
    vault_mount: str = Field(
        default="secret",
        description="Mount of the vault's key/value engine (version 2).",
        pattern=r"^[\w./-]+$",
    )
    vault_prefix: str = Field(
        default="phantom-spire",
        description="Path in it; below it each tenant reads what is under its own name.",
        pattern=r"^[\w./-]+$",
    )

    sign_in_idle: float = Field(default=2 * 3600.0, gt=0, description="Seconds before an idle sign-in ends.")
    sign_in_length: float = Field(default=12 * 3600.0, gt=0, description="Seconds before any sign-in ends.")
    set_up_length: float = Field(default=24 * 3600.0, gt=0, description="Seconds the set-up link works.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much goes to the log. No level names a secret or a record's content."
    )

    @field_validator(
        "allowed_hosts",
        "allowed_origins",
        "url_allow",
        "folders",
        "trusted_proxies",
        "environment_allow",
        mode="before",
    )
    @classmethod
    def _words(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator(
        "data_dir",
        "key_file",
        "passphrase_file",
        "tls_cert",
        "tls_key",
        "vault_token_file",
        "vault_authority",
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @model_validator(mode="after")
    def _together(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("give tls_cert and tls_key together")
        if self.kek == "passphrase" and self.passphrase_file is None:
            raise ValueError("kek=passphrase needs passphrase_file")
        return self

    @field_validator("vault_address")
    @classmethod
    def _whole(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
            raise ValueError("a vault is asked over https")
        return value

    @property
    def vault(self) -> dict[str, str]:
        """The settings of the vault, as a worker is handed them."""
        chosen = {name: getattr(self, name) for name in type(self).model_fields if name.startswith("vault_")}
        return {name: str(value) for name, value in chosen.items() if value}

    def environment_of(self, tenant: str) -> dict[str, str]:
        """The values of the variables this tenant may use as credentials, by the part of their name that differs."""
        names = [
            name
            for owner, _, name in (each.partition(":") for each in self.environment_allow)
            if owner == tenant
        ]
        return {name: os.environ[VARIABLE + name] for name in names if VARIABLE + name in os.environ}

    @property
    def https(self) -> bool:
        """Whether browsers reach us over https, be it from us or from a proxy before us."""
        return self.tls_cert is not None or self.public_url.startswith("https://")

    @cached_property
    def url(self) -> str:
        """The address to print for people."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        literal = f"[{host}]" if ":" in host else host
        return self.public_url.rstrip("/") or f"http{'s' if self.tls_cert else ''}://{literal}:{self.port}"

    @cached_property
    def hosts(self) -> frozenset[str]:
        """Host headers accepted, lower-case, exact."""
        if self.allowed_hosts:
            return frozenset(host.lower() for host in self.allowed_hosts)
        names = {"127.0.0.1", "localhost", "[::1]"}
        if self.host not in {"0.0.0.0", "::"}:  # noqa: S104
            names.add(f"[{self.host}]" if ":" in self.host else self.host.lower())
        plain = 443 if self.tls_cert else 80
        hosts = {f"{name}:{self.port}" for name in names} | (names if self.port == plain else set())
        return frozenset(hosts | {self.url.split("://", 1)[1].lower()})

    @cached_property
    def origins(self) -> frozenset[str]:
        """Origins accepted from browsers, exact. Made from the hosts where none are given."""
        if self.allowed_origins:
            return frozenset(origin.rstrip("/").lower() for origin in self.allowed_origins)
        return frozenset(f"http{'s' if self.https else ''}://{host}" for host in self.hosts)

    @property
    def control_url(self) -> str:
        """Where the control database is, as SQLAlchemy reads it."""
        return self.database_url or f"sqlite:///{self.data_dir / 'control.db'}"

    def tenant_dir(self, tenant: str) -> Path:
        """The folder of a tenant's store and landing zone."""
        return self.data_dir / "tenants" / tenant

    def runtime_dir(self) -> Path:
        """The folder of our sockets, mode 0700 and ours; the same for every process on this data folder.

        It stands in the data folder where the socket paths stay short enough for the kernel.
        """
        near = self.data_dir / "run"
        if len(os.fsencode(near)) + 40 <= SOCKET_PATH_LIMIT:
            folder = near
        else:
            base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
            name = hashlib.sha256(os.fsencode(self.data_dir.resolve())).hexdigest()[:16]
            folder = Path(base) / f"phantom-spire-{os.getuid()}-{name}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
            raise UnsafeFolder(str(folder), action="Remove it or set another SPIRE_DATA_DIR.")
        if state.st_mode & 0o077:
            folder.chmod(0o700)
        return folder

    def socket_path(self, tenant: str) -> Path:
        """Where the worker of a tenant listens. Long ids are hashed so that the path always fits."""
        name = tenant if len(tenant) <= 32 else hashlib.sha256(tenant.encode()).hexdigest()[:32]
        return self.runtime_dir() / f"{name}.sock"
