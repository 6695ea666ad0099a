"""A tenant's vault and the control database."""
