"""Credentials on the wire. A value goes in and never comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr, model_validator

from app.tenant.credential_places import checked_reference
from app.tenant.schemas import Answer, Request
from app.tenant.schemas.sources import CheckStage
from connectors.credential_hosts import written
from engine.model import Slug

Kind = Literal["password", "token", "key", "certificate", "secret"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Host = Annotated[str, Field(max_length=300), AfterValidator(written)]
Hosts = Annotated[list[Host], Field(min_length=1, max_length=50)]
# As long as a service account's file or a chain of certificates may be.
Value = Annotated[SecretStr, Field(min_length=1, max_length=1 << 17)]


class CredentialCreate(Request):
    """Adds a credential that is sealed here."""

    id: Slug | None = Field(default=None, description="Made of the name where none is given.")
    name: Name
    kind: Kind = "secret"
    value: Value = Field(description="The secret; no route gives it back.")
    hosts: Hosts = Field(
        description="Hosts it may be sent to, such as api.example or db.example:5432; at any port without one."
    )
    expires: AwareDatetime | None = Field(default=None, description="When it ends, to be warned before.")


class CredentialElsewhere(Request):
    """Adds a credential whose value stays where it is and is read at each use."""

    id: Slug | None = None
    name: Name
    kind: Kind = "secret"
    place: Literal["environment", "vault"]
    reference: str = Field(
        max_length=500,
        description="environment: the variable SPIRE_CREDENTIAL_<NAME>; vault: path#field below the tenant's own path.",
    )
    hosts: Hosts
    expires: AwareDatetime | None = None

    @model_validator(mode="after")
    def _formed(self) -> CredentialElsewhere:
        self.reference = checked_reference(self.place, self.reference)
        return self


class CredentialChange(Request):
    """Changes what is known of a credential; what is left out stays. Hosts can only become fewer."""

    name: Name | None = None
    kind: Kind | None = None
    hosts: Hosts | None = None
    expires: AwareDatetime | None = Field(default=None, description="null takes the end away.")


class CredentialRotate(Request):
    """Puts a new value in the old one's place, once everything that uses it was tried with it."""

    value: Value
    hosts: Hosts | None = Field(default=None, description="Other hosts than before.")
    expires: AwareDatetime | None = Field(default=None, description="When the new value ends.")
    force: bool = Field(default=False, description="Also where a trial fails.")


class CredentialUse(Answer):
    """What uses a credential, and in which of its settings."""

    kind: str
    id: str
    name: str
    settings: list[str]


class CredentialView(Answer):
    """A credential: everything but its value."""

    id: str
    name: str
    kind: str
    hosts: list[str]
    place: str = Field(description="stored, environment or vault.")
    reference: str = Field(description="Where the value is, if it is not stored.")
    state: Literal["open", "ends soon", "ended"]
    expires: datetime | None
    created: datetime
    created_by: str
    rotated: datetime | None
    rotated_by: str | None
    used: datetime | None = Field(description="When it was last sent.")
    used_for: str | None
    used_by: list[CredentialUse]


class CredentialTrial(Answer):
    """How something that uses a credential fared with a value, stage by stage."""

    use: CredentialUse | None = Field(description="None where nothing uses it: its value is looked for.")
    ok: bool
    stages: list[CheckStage]


class CredentialTest(Answer):
    """How a credential fares with everything that uses it."""

    ok: bool
    trials: list[CredentialTrial]


class CredentialRotation(CredentialTest):
    """How a new value fared, and whether it has taken the old one's place."""

    rotated: bool
    credential: CredentialView
