"""A Salesforce organisation: signed in to, asked through the vendor's own client, its errors in words.

A session that has ended is begun anew, once. The client's own sign-in knows Salesforce's hosts only, so the
token is asked for here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import jwt
import requests
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceError, SalesforceExpiredSession

from connectors.addresses import Resolve, resolve
from connectors.door import Door
from connectors.exchange import SETTING, exchanged
from connectors.registry import Reach
from connectors.signing import BrokenAnswer, json_of
from connectors.web import Turned, Unreachable, shown, tls, web_address
from engine.errors import Retry, SpireError, Stop

# Where an organisation's data may be, however it was signed in to.
_HOSTS = (".salesforce.com", ".force.com", ".salesforce.mil")
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Salesforce refuses a token that is good for longer.
_GOOD_FOR = 180


class SignInRefused(Stop):
    """Salesforce refused the sign-in."""


class NotReadable(Stop):
    """Salesforce does not let this be read."""


class UsedUp(Retry):
    """The requests this organisation may be asked in a day are used up. We will try again at the next run."""


class Spared(Retry):
    """The rest of the day's requests are left to others, as this source is told. We will go on at a later run."""


class Gone(Retry):
    """Salesforce no longer has what it had prepared. We will begin anew at the next run."""


class SigningIn(BaseModel):
    """Where an organisation is signed in to, and as whom."""

    model_config = ConfigDict(extra="forbid")

    login: str = Field(
        title="Address",
        default="https://login.salesforce.com",
        description="Where to sign in: this one, https://test.salesforce.com for a sandbox, or your own domain.",
        max_length=400,
    )
    sign_in: Literal["jwt", "refresh"] = Field(
        json_schema_extra={"meanings": {"jwt": "a private key", "refresh": "a refresh token"}},
        title="Sign in by",
        default="jwt",
        description="jwt: a key whose certificate the connected app knows; refresh: a refresh token.",
    )
    client_id: str = Field(
        title="Consumer key", description="The connected app's consumer key.", min_length=1, max_length=400
    )
    username: str = Field(default="", description="With jwt: the user to read as.", max_length=200)
    private_key: SecretStr = Field(
        json_schema_extra={"lines": 4}, default=SecretStr(""), description="With jwt: the private key (PEM)."
    )
    refresh_token: SecretStr = Field(
        default=SecretStr(""),
        description="With refresh: the token. Where the app rotates it, the new one takes its place.",
    )
    client_secret: SecretStr = Field(
        title="Consumer secret", default=SecretStr(""), description="With refresh, where the app demands it."
    )
    audience: str = Field(
        json_schema_extra={"further": True},
        default="",
        description="With jwt: for whom the token is; none means Salesforce's own sign-in.",
        max_length=400,
    )
    version: str = Field(
        title="Version of the API",
        json_schema_extra={"further": True},
        default="62.0",
        pattern=r"^\d{2}\.0$",
        description="Version to ask in; fields that came later are not seen.",
    )
    spare: int = Field(
        title="Requests to leave",
        json_schema_extra={"further": True},
        default=10,
        ge=0,
        le=99,
        description="Part of the organisation's daily requests that is left to others, in per cent.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where a proxy has one of its own.",
    )

    @field_validator("login")
    @classmethod
    def _address(cls, value: str) -> str:
        if urlsplit(value).scheme != "https":
            raise ValueError("give a whole https address")
        return web_address(value).rstrip("/")


@dataclass
class Org:
    """An organisation, asked as the configuration's user. `now` is our clock, in seconds since 1970."""

    config: SigningIn
    reach: Reach
    resolver: Resolve = resolve
    now: Callable[[], float] = time.time
    door: Door = field(init=False)
    client: Salesforce | None = None

    def __post_init__(self) -> None:
        # Whoever asks again goes where the first check went.
        self.resolver = cache(self.resolver)
        self._context = tls(self.config.authority, "")
        self.door = Door(self.config.login, self.reach, self._context, self.resolver)

    def ask(self, do: Callable[[Salesforce], Any]) -> dict[str, Any]:
        """What the client says; where the session has ended, after one new sign-in. Errors are in our words."""
        again = self.client is not None
        client = self.client or self.sign_in()
        self._leave_some()
        try:
            found = do(client)
        except SalesforceExpiredSession as error:
            self.client = None
            if again:
                return self.ask(do)
            raise self._told(error) from None
        except SalesforceError as error:
            raise self._told(error) from None
        except (ValueError, KeyError):
            raise BrokenAnswer(f"{self.host}: its answer can't be read.") from None
        if not isinstance(found, dict):
            raise BrokenAnswer(f"{self.host}: its answer is no object.")
        return found

    def sign_in(self) -> Salesforce:
        """Sign in anew, by RFC 7523 or with a refresh token (RFC 6749 §6)."""
        config = self.config
        door = Door(config.login, self.reach, self._context, self.resolver)
        url = f"{config.login}/services/oauth2/token"
        form = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}

        def granted(grant: dict[str, str]) -> Mapping[str, Any]:
            found = door.fetch(url, form, urlencode(grant).encode())
            answer = json_of(found) if found.status < 500 else None
            if not isinstance(answer, dict):
                raise Unreachable(f"{shown(url)}: status {found.status}.")
            if found.status >= 400 or not answer.get("access_token"):
                raise self._refused(str(answer.get("error", "")), str(answer.get("error_description", "")))
            return answer

        if config.sign_in == "refresh":
            grant = self._grant()
            token = grant.pop(SETTING)
            answer = exchanged(self.reach, token, lambda now: granted({**grant, SETTING: now}))
        else:
            answer = granted(self._grant())
        # What goes there is the session, and no secret that was bound to a host.
        instance = self._instance(str(answer.get("instance_url") or ""))
        self.door = Door(instance, replace(self.reach, bound=None), self._context, self.resolver)
        session = requests.Session()
        self.door.fit(session)
        session_id = str(answer["access_token"])
        # Plain dictionaries take a third of the memory of ordered ones.
        self.client = Salesforce(
            session_id=session_id,
            instance_url=self.door.home,
            session=session,
            version=config.version,
            object_pairs_hook=None,
        )
        return self.client

    @property
    def host(self) -> str:
        return urlsplit(self.door.home).hostname or ""

    @property
    def usage(self) -> tuple[int, int] | None:
        """Requests of the last 24 hours and how many there may be, as the last answer said."""
        told = (self.door.last.headers if self.door.last else {}).get("sforce-limit-info", "")
        used = Salesforce.parse_api_usage(told).get("api-usage")
        return (used.used, used.total) if used else None

    def _leave_some(self) -> None:
        usage, spare = self.usage, self.config.spare
        if usage and spare and usage[0] >= usage[1] * (100 - spare) / 100:
            raise Spared(f"{usage[0]:,} of {usage[1]:,} are used.", action=_LEAVE)

    def _instance(self, url: str) -> str:
        """Where the data is, if it is where a sign-in may lead: the same host, or one of Salesforce's."""
        parts, login = urlsplit(url), urlsplit(self.config.login)
        host = (parts.hostname or "").lower()
        same = (host, parts.port) == (login.hostname, login.port)
        if parts.scheme != "https" or not (same or (host.endswith(_HOSTS) and parts.port in (None, 443))):
            raise Turned(
                f"{self.config.login} leads to {shown(url)}, which is not Salesforce's.",
                action="Give your own domain's address to sign in at.",
            )
        return url

    def _grant(self) -> dict[str, str]:
        config = self.config
        if config.sign_in == "refresh":
            given = {"refresh_token": config.refresh_token, "client_secret": config.client_secret}
            secret = {
                name: each.get_secret_value() for name, each in given.items() if each.get_secret_value()
            }
            if "refresh_token" not in secret:
                raise SignInRefused("There is no refresh token.", action="Fill it in, or sign in by jwt.")
            return {"grant_type": "refresh_token", "client_id": config.client_id, **secret}
        if not config.username or not config.private_key.get_secret_value():
            raise SignInRefused("A user and a private key are needed.", action="Fill in both.")
        claims = {
            "iss": config.client_id,
            "sub": config.username,
            "aud": config.audience or _audience(config.login),
            "exp": int(self.now()) + _GOOD_FOR,
        }
        try:
            signed = jwt.encode(claims, config.private_key.get_secret_value().strip(), algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise SignInRefused(
                "The private key can't be read.",
                action="Paste an RSA key as PEM text, without a passphrase: BEGIN PRIVATE KEY …",
            ) from None
        return {"grant_type": _JWT, "assertion": signed}

    def _refused(self, code: str, said: str) -> SpireError:
        if code in ("rate_limit_exceeded", "server_error", "temporarily_unavailable"):
            return Unreachable(f"{self.config.login}: {self._clean(said or code)}.")
        known = next((words for part, words in _GRANTS.items() if part in said.lower()), "")
        words = known or _SIGN_INS.get(code, "Check the connected app, its key and the user.")
        return SignInRefused(f"It says: {self._clean(': '.join(filter(None, (code, said))))}.", action=words)

    def _told(self, error: SalesforceError) -> SpireError:
        """A refusal of the API in our words."""
        content: Any = error.content
        first = content[0] if isinstance(content, list) and content else content
        answer: Mapping[str, Any] = first if isinstance(first, Mapping) else {}
        code = str(answer.get("errorCode") or f"status {error.status}")
        said = self._clean(f"{code}: {answer['message']}" if answer.get("message") else code)
        if code == "REQUEST_LIMIT_EXCEEDED":
            return UsedUp(f"It says: {said}.", action=_LEAVE)
        if code in _GONE:
            return Gone(f"It says: {said}.")
        if error.status in (429, 500, 502, 503, 504) and code not in _ERRORS:
            return Unreachable(f"{self.host}: {said}.")
        if error.status == 401:
            return SignInRefused(
                f"It says: {said}.", action="Check the user, and how long a session may last."
            )
        return NotReadable(
            f"It says: {said}.", action=_ERRORS.get(code, "Check the object, its fields and the user.")
        )

    def _clean(self, said: str) -> str:
        """What they said, on one line, without any secret of ours that it may repeat."""
        config = self.config
        secrets = [config.private_key, config.refresh_token, config.client_secret]
        held = [each.get_secret_value() for each in secrets] + [self.client.session_id if self.client else ""]
        for secret in filter(None, held):
            said = said.replace(secret, "…")
        return " ".join(said.split())[:400].rstrip(".")


def _audience(login: str) -> str:
    """For whom a token is that signs in at an address: not an own domain, but Salesforce's own sign-in."""
    host = urlsplit(login).hostname or ""
    if not host.endswith(_HOSTS):
        return login
    sandbox = host == "test.salesforce.com" or ".sandbox." in host
    return "https://test.salesforce.com" if sandbox else "https://login.salesforce.com"


_LEAVE = "Run it less often, read large objects in bulk, or leave less to others."
_GONE = ("INVALID_QUERY_LOCATOR", "INVALIDJOB", "INVALID_LOCATOR")
_SIGN_INS = {
    "invalid_client_id": "Check the consumer key; a new app takes some minutes until it is known.",
    "invalid_client": "Check the consumer key and the consumer secret.",
    "invalid_app_access": "Let the user's profile use the connected app.",
    "inactive_user": "The user is frozen or inactive: choose another one.",
    "inactive_org": "The organisation is locked or closed.",
    "invalid_grant": "Check the user, the key and the address to sign in at.",
}
_GRANTS = {
    "hasn't approved": "Let the user's profile use the connected app, or have the user approve it once.",
    "audience": "Sign in where this user does: login for an organisation, test for a sandbox.",
    "expired access/refresh token": "The refresh token has ended or was revoked: get a new one.",
    "invalid assertion": "Upload the certificate of this private key to the connected app.",
    "expired": "Set this machine's clock: the signed token was too old when it arrived.",
}
_ERRORS = {
    "MALFORMED_QUERY": "Correct the condition or the query; it is SOQL.",
    "INVALID_FIELD": "Choose fields that this user may see.",
    "INVALID_TYPE": "Choose an object that this user may see.",
    "INVALID_QUERY_FILTER_OPERATOR": "Correct the condition: this field can't be compared so.",
    "NOT_FOUND": "Choose an object that is there and that this user may see.",
    "INSUFFICIENT_ACCESS": "Give the user permission to read this object.",
    "INSUFFICIENT_ACCESS_OR_READONLY": "Give the user permission to read this object.",
    "API_DISABLED_FOR_ORG": "Give the user the permission API Enabled; some editions have no API.",
    "API_CURRENTLY_DISABLED": "The API is switched off for this organisation. Ask Salesforce.",
    "FUNCTIONALITY_NOT_ENABLED": "This organisation's edition has no such interface: read by query.",
    "FEATURENOTENABLED": "This organisation's edition has no Bulk API: read by query.",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": "The user's password has expired: set a new one.",
    "QUERY_TIMEOUT": "Read fewer fields, add a condition, or read in bulk.",
    "OPERATION_TOO_LARGE": "Give the user View All Data for this object, or add a condition.",
    "QUERY_TOO_COMPLICATED": "Choose fewer fields; formulas weigh most.",
    "EXCEEDED_MAX_SIZE_REQUEST": "Choose fewer fields, or read in bulk.",
}
