"""Credentials: added, tried, rotated and removed. No route gives a value back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from app.tenant import credential_keeping as keeping
from app.tenant.caller import Here, Who
from app.tenant.credential_keeping import Trial, Use
from app.tenant.desk import Desk
from app.tenant.schemas.credentials import (
    CredentialChange,
    CredentialCreate,
    CredentialElsewhere,
    CredentialRotate,
    CredentialRotation,
    CredentialTest,
    CredentialTrial,
    CredentialUse,
    CredentialView,
)
from app.tenant.schemas.sources import CheckStage
from storage import credentials
from storage.credentials import Credential, Place

router = APIRouter(tags=["credentials"])


@router.get("/credentials")
def list_credentials(desk: Here) -> list[CredentialView]:
    """Every credential, with what uses it."""
    with desk.store.cursor() as cursor:
        used = keeping.uses(cursor)
        return [_view(desk, each, used.get(each.id, [])) for each in credentials.every(cursor)]


@router.post("/credentials", status_code=201)
def create(body: CredentialCreate, desk: Here, who: Who) -> CredentialView:
    """Seal a secret, bound to the hosts it may be sent to."""
    new = _new(desk, who.user, body, "stored", "")
    return _view(desk, keeping.add(desk, who, new, body.value.get_secret_value()), [])


@router.post("/credentials/elsewhere", status_code=201)
def create_elsewhere(body: CredentialElsewhere, desk: Here, who: Who) -> CredentialView:
    """Refer to a secret that is kept in a variable or a vault, bound to the hosts it may be sent to."""
    new = _new(desk, who.user, body, body.place, body.reference)
    return _view(desk, keeping.add(desk, who, new, None), [])


@router.get("/credentials/{id}")
def get(id: str, desk: Here) -> CredentialView:
    """One credential, with what uses it."""
    return _seen(desk, id)


@router.patch("/credentials/{id}")
def change(id: str, body: CredentialChange, desk: Here, who: Who) -> CredentialView:
    """Change its name, kind or end, or bind it to fewer hosts."""
    altered = {name: getattr(body, name) for name in body.model_fields_set}
    if "expires" in altered:
        altered["expires"] = _plain(altered["expires"])
    if altered.get("hosts"):
        altered["hosts"] = tuple(altered["hosts"])
    keeping.change(desk, who, id, {n: v for n, v in altered.items() if v is not None or n == "expires"})
    return _seen(desk, id)


@router.delete("/credentials/{id}", status_code=204)
def remove(
    id: str,
    desk: Here,
    who: Who,
    force: Annotated[
        bool, Query(description="Also where something uses it, which then stops working.")
    ] = False,
) -> None:
    """Delete a credential with its value."""
    keeping.remove(desk, who, id, force=force)


@router.post("/credentials/{id}/check")
def check(id: str, desk: Here, who: Who) -> CredentialTest:
    """Try it with everything that uses it, stage by stage."""
    trials = [_trial(each) for each in keeping.test(desk, who, id)]
    return CredentialTest(ok=all(each.ok for each in trials), trials=trials)


@router.post("/credentials/{id}/rotate")
def rotate(id: str, body: CredentialRotate, desk: Here, who: Who) -> CredentialRotation:
    """Try a new value with everything that uses it, and only then put it in the old one's place."""
    rotated, trials = keeping.rotate(
        desk,
        who,
        id,
        body.value.get_secret_value(),
        hosts=tuple(body.hosts) if body.hosts else None,
        expires=_plain(body.expires),
        force=body.force,
    )
    shown = [_trial(each) for each in trials]
    return CredentialRotation(
        ok=all(each.ok for each in shown), trials=shown, rotated=rotated, credential=_seen(desk, id)
    )


def _new(
    desk: Desk, by: str, body: CredentialCreate | CredentialElsewhere, place: Place, reference: str
) -> Credential:
    return Credential(
        id=body.id or "", name=body.name, kind=body.kind, hosts=tuple(dict.fromkeys(body.hosts)), place=place,
        reference=reference, created=desk.now(), created_by=by, expires=_plain(body.expires),
    )  # fmt: skip


def _plain(at: datetime | None) -> datetime | None:
    """A time as the store keeps it."""
    return at.astimezone(UTC).replace(tzinfo=None) if at else None


def _seen(desk: Desk, id: str) -> CredentialView:
    with desk.store.cursor() as cursor:
        return _view(desk, credentials.get(cursor, id), keeping.uses(cursor, id).get(id, []))


def _view(desk: Desk, found: Credential, used: list[Use]) -> CredentialView:
    plain = {name: value for name, value in vars(found).items() if name in CredentialView.model_fields}
    plain |= {"hosts": list(found.hosts), "state": keeping.state(found, desk.now())}
    return CredentialView(**plain, used_by=[_use(each) for each in used])


def _use(use: Use) -> CredentialUse:
    return CredentialUse(kind=use.kind, id=use.read.id, name=use.read.name, settings=list(use.settings))


def _trial(trial: Trial) -> CredentialTrial:
    stages = [CheckStage.model_validate(stage) for stage in trial.stages]
    return CredentialTrial(use=_use(trial.use) if trial.use else None, ok=trial.ok, stages=stages)
