"""Work that is done whole, whatever else the browser asks meanwhile.

As soon as the browser asks for a page anew, Streamlit begins the new run beside the old one and ends the old one
at its next look into the session, in the midst of a callback too. An edit could so be lost, half done, or laid on a
state that is overtaken. What changes something therefore runs in a thread of its own, which is not ended, and one
after another within a session.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import wraps
from typing import ParamSpec, TypeVar

from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx
from streamlit.runtime.state import SafeSessionState

P = ParamSpec("P")
T = TypeVar("T")
_TURN = "whole-turn"
_making = threading.Lock()


class _Calm(SafeSessionState):
    """A session as a thread sees it that is not ended."""


def whole(work: Callable[P, T]) -> Callable[P, T]:
    """The same work, done to its end; it may use the session like any callback."""

    @wraps(work)
    def done(*args: P.args, **options: P.kwargs) -> T:
        return _calmly(lambda: work(*args, **options))

    return done


def _calmly(work: Callable[[], T]) -> T:
    context = get_script_run_ctx()
    if context is None or isinstance(context.session_state, _Calm):
        return work()
    # Streamlit keeps the session itself to itself; its wrapper holds a lock of this run, and ends it.
    calm = _Calm(context.session_state._state, lambda: None)
    done: Future[T] = Future()

    def run() -> None:
        with _turn(calm):
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits for it
                done.set_exception(error)

    thread = threading.Thread(target=run, name="whole")
    add_script_run_ctx(thread, dataclasses.replace(context, session_state=calm))
    thread.start()
    return done.result()


def _turn(state: SafeSessionState) -> threading.Lock:
    with _making:
        if _TURN not in state:
            state[_TURN] = threading.Lock()
        found: threading.Lock = state[_TURN]
    return found
