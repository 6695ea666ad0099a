"""The routes of the tenant API, one module a noun."""
