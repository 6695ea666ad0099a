"""The gateway: one process between the world and the tenants' workers."""
