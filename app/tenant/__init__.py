"""The tenant API: everything one tenant's worker can be asked, over HTTP."""
