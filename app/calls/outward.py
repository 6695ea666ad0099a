"""What leaves for other systems, and the credentials it takes."""

from __future__ import annotations

from typing import Any

from app.calls.wire import Wire
from app.tenant.schemas.credentials import CredentialRotation, CredentialTest, CredentialView
from app.tenant.schemas.publications import DeliveryDetail, DeliveryView, PublicationView
from app.wire import plain, read


class Outward(Wire):
    """What leaves for other systems, and the credentials it takes."""

    # Publications

    def publications(self) -> list[PublicationView]:
        return self.get("/publications", list[PublicationView])

    def publication(self, id: str) -> PublicationView:
        return self.get(f"/publications/{id}", PublicationView)

    def create_publication(self, **body: Any) -> PublicationView:
        return self.post("/publications", PublicationView, body)

    def change_publication(self, id: str, **body: Any) -> PublicationView:
        return read(self.request("PUT", f"/publications/{id}", json=plain(body)), PublicationView)

    def delete_publication(self, id: str) -> None:
        self.request("DELETE", f"/publications/{id}")

    def deliver(self, id: str, *, anew: bool = False) -> DeliveryView:
        return self.post(f"/publications/{id}/deliveries", DeliveryView, {"anew": anew})

    def deliveries(self, id: str) -> list[DeliveryView]:
        return self.get(f"/publications/{id}/deliveries", list[DeliveryView])

    def delivery(self, id: str, delivery: int, *, wait: float = 0) -> DeliveryDetail:
        return self.get(f"/publications/{id}/deliveries/{delivery}", DeliveryDetail, wait=wait)

    def cancel_delivery(self, id: str, delivery: int) -> DeliveryView:
        return self.post(f"/publications/{id}/deliveries/{delivery}/cancel", DeliveryView)

    # Credentials

    def credentials(self) -> list[CredentialView]:
        return self.get("/credentials", list[CredentialView])

    def credential(self, id: str) -> CredentialView:
        return self.get(f"/credentials/{id}", CredentialView)

    def create_credential(self, **fields: Any) -> CredentialView:
        """The fields of `CredentialCreate`, or, with a `place`, of `CredentialElsewhere`."""
        return self.post("/credentials" + ("/elsewhere" if "place" in fields else ""), CredentialView, fields)

    def change_credential(self, id: str, **fields: Any) -> CredentialView:
        """The fields of `CredentialChange`."""
        return read(self.request("PATCH", f"/credentials/{id}", json=plain(fields)), CredentialView)

    def rotate_credential(self, id: str, value: str, **fields: Any) -> CredentialRotation:
        """The fields of `CredentialRotate`."""
        return self.post(f"/credentials/{id}/rotate", CredentialRotation, {"value": value, **fields})

    def check_credential(self, id: str) -> CredentialTest:
        return self.post(f"/credentials/{id}/check", CredentialTest)

    def remove_credential(self, id: str, *, force: bool = False) -> None:
        self.request("DELETE", f"/credentials/{id}", params={"force": force})
