"""A property of Google Analytics: asked through Google's own client, its quotas kept in sight, its errors in words.

The service account signs its tokens itself and asks nobody for them (RFC 7519, as Google's AIP-4111 has it). The
client's own credentials would look something up at another host, in the background.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import orjson
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth import credentials, crypt, jwt
from google.auth.exceptions import GoogleAuthError
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.addresses import Resolve, resolve
from connectors.door import Door
from connectors.registry import Reach
from connectors.signing import BrokenAnswer
from connectors.web import Unreachable, tls, web_address
from engine.errors import Retry, SpireError, Stop

# For whom a token is, whatever address the interface is reached at.
AUDIENCE = "https://analyticsdata.googleapis.com/"
_GOOD_FOR = timedelta(hours=1)


class SignInRefused(Stop):
    """Google refused the service account's key."""


class NotAllowedIn(Stop):
    """This service account may not read this property."""


class NotReadable(Stop):
    """Google Analytics can't answer what this source asks."""


class UsedUp(Retry):
    """The property's quota is used up. We will try again at the next run."""


class Spared(Retry):
    """The rest of the property's quota is left to others, as this source is told. We will go on at a later run."""


class SigningIn(BaseModel):
    """Which property, and the account that may read it."""

    model_config = ConfigDict(extra="forbid")

    property: str = Field(
        pattern=r"^(properties/)?\d+$",
        max_length=40,
        description="Id of the property, a number: Admin, Property details.",
    )
    key: SecretStr = Field(
        title="Service account's key",
        json_schema_extra={"lines": 6},
        description="The whole JSON file that Google gives with a new key.",
    )
    url: str = Field(
        title="Address",
        json_schema_extra={"further": True},
        default="https://analyticsdata.googleapis.com",
        max_length=400,
        description="Address of the interface; another one only with a private way to Google.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where a proxy has one of its own.",
    )
    spare: int = Field(
        title="Tokens to leave",
        json_schema_extra={"further": True},
        default=2000,
        ge=0,
        description="Tokens of each of the property's quotas that are left to others.",
    )

    @field_validator("property")
    @classmethod
    def _number(cls, value: str) -> str:
        return value.removeprefix("properties/")

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        if urlsplit(value).scheme != "https":
            raise ValueError("give a whole https address")
        return web_address(value).rstrip("/")


class _Signed(credentials.Credentials):
    """A service account that signs its own tokens, each for an hour."""

    def __init__(self, signer: crypt.Signer, email: str) -> None:
        super().__init__()
        self.signer, self.email = signer, email

    def refresh(self, request: object) -> None:
        """A new token; nobody is asked."""
        now = datetime.now(UTC)
        until = now + _GOOD_FOR
        who: dict[str, object] = {"iss": self.email, "sub": self.email, "aud": AUDIENCE}
        claims = {**who, "iat": int(now.timestamp()), "exp": int(until.timestamp())}
        self.token = jwt.encode(self.signer, claims).decode()
        self.expiry = until.replace(tzinfo=None)


@dataclass
class Property:
    """A property, asked as the service account; the client, and what is left of its quotas by name."""

    config: SigningIn
    reach: Reach
    resolver: Resolve = resolve
    left: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from google.analytics.data_v1beta import BetaAnalyticsDataClient

        info = _account(self.config.key)
        self.email, self._id = str(info["client_email"]), str(info.get("private_key_id") or "")
        try:
            signer = crypt.RSASigner.from_service_account_info(info)
        except (ValueError, KeyError, TypeError):
            raise SignInRefused("Its private key can't be read.", action=_NEW_KEY) from None
        self._signed = _Signed(signer, self.email)
        self.door = Door(self.config.url, self.reach, tls(self.config.authority, ""), cache(self.resolver))
        options = ClientOptions(api_endpoint=self.config.url, universe_domain="googleapis.com")
        self.client = BetaAnalyticsDataClient(
            credentials=self._signed, transport="rest", client_options=options
        )
        # The client has no setting for the session; left alone it would connect past every check of ours.
        transport: Any = self.client.transport
        self.door.fit(transport._session)

    @property
    def name(self) -> str:
        return f"properties/{self.config.property}"

    def ask(self, do: Callable[[Any], object]) -> dict[str, Any]:
        """What it answers the client, as it came; errors are in our words."""
        short = {name: left for name, left in self.left.items() if left < self.config.spare}
        if short:
            raise Spared(f"{quota_words(short)} left of {self.name}.", action=_LEAVE)
        try:
            do(self.client)
        except GoogleAPICallError as error:
            raise self._told(int(error.code or 0)) from None
        except AttributeError:
            # The client reads an error in another form than Google's as if it were in Google's.
            if self.door.last is None or self.door.last.status < 400:
                raise
            raise self._told(self.door.last.status) from None
        except GoogleAuthError:
            raise SignInRefused(f"{self.email}.", action=_NEW_KEY) from None
        except ParseError:
            # The client reads an answer whole or not at all; one broken row is no reason to lose the others.
            pass
        answer = self._body()
        self._note_quota(answer)
        return answer

    def _body(self) -> dict[str, Any]:
        """The last answer as it came, with what the client does not know."""
        try:
            found = orjson.loads(self.door.last.body) if self.door.last else None
        except orjson.JSONDecodeError as error:
            raise BrokenAnswer(f"{self.name}: no JSON from byte {error.pos:,} on.") from None
        if not isinstance(found, dict):
            raise BrokenAnswer(f"{self.name}: the answer is no object.")
        return found

    def _note_quota(self, answer: dict[str, Any]) -> None:
        told = answer.get("propertyQuota")
        for name in _QUOTAS:
            status = told.get(name) if isinstance(told, dict) else None
            if isinstance(status, dict):
                # What is zero, Google leaves out.
                self.left[name] = int(status.get("remaining") or 0)

    def _told(self, status: int) -> SpireError:
        """A refusal in our words."""
        try:
            error = self._body().get("error")
        except BrokenAnswer:
            error = None
        told = error if isinstance(error, dict) else {}
        said = self._clean(str(told.get("message") or f"status {status}"))
        reasons = {str(each.get("reason")) for each in told.get("details") or () if isinstance(each, dict)}
        if status == 401:
            return SignInRefused(f"It says: {said}.", action=_NEW_KEY)
        if status == 403:
            off = "SERVICE_DISABLED" in reasons
            grant = f"Give {self.email} the role Viewer: Admin, Property access management."
            action = "Switch on the Google Analytics Data API in the key's project." if off else grant
            return NotAllowedIn(f"It says: {said}.", action=action)
        if status == 429:
            return UsedUp(f"It says: {said}.", action=_LEAVE)
        if status >= 500:
            return Unreachable(f"{self.name}: {said}.")
        return NotReadable(f"It says: {said}.", action="Check property, dimensions and metrics.")

    def _clean(self, said: str) -> str:
        """What they said, on one line, without a token or a part of the key that it may repeat."""
        for secret in filter(None, (self._signed.token, self._id)):
            said = said.replace(secret, "…")
        return " ".join(said.split())[:400].rstrip(".")


def quota_words(left: dict[str, int]) -> str:
    """What is left of quotas, in words."""
    return ", ".join(f"{left[name]:,} tokens {words}" for name, words in _QUOTAS.items() if name in left)


def _account(key: SecretStr) -> dict[str, Any]:
    try:
        info = orjson.loads(key.get_secret_value())
    except orjson.JSONDecodeError:
        info = None
    if not isinstance(info, dict) or not info.get("private_key") or not info.get("client_email"):
        raise SignInRefused("This is no service account's key.", action=_NEW_KEY)
    return info


_QUOTAS = {
    "tokensPerDay": "of the day",
    "tokensPerHour": "of the hour",
    "tokensPerProjectPerHour": "of the project's hour",
}
_LEAVE = "Run it less often, ask for fewer dimensions or days, or leave less to others."
_NEW_KEY = "Paste a JSON key of a service account that is enabled; check this machine's clock."
