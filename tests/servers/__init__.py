"""Real servers for tests, each started on a free loopback port and stopped when the test run ends.

A server is one module with `start(folder, ...) -> Running`; a fixture in `tests/conftest.py` asks
`once()` for it, so all pytest-xdist workers share the one that the first of them started. What can't run here has a
stand-in, built from its published contract, in the test's own process (see `loopback`).
"""
