"""The product proved as a whole, on a tenant of its own for each test."""

from tests.app.tenant.conftest import client, desk, grant

__all__ = ["client", "desk", "grant"]
