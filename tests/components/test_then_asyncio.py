"""A module that runs after a browser module in the same worker."""

import asyncio


def test_asyncio_runs_after_a_module_that_drove_a_browser() -> None:
    async def answer() -> int:
        return 42

    assert asyncio.run(answer()) == 42
