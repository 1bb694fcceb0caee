"""Where an agent's plain functions run: in a step, a thread; in the handler's own code, right there.

A thread in the handler's code would come back at another time on replay. Instructions, output validators and the like
are short, so they lose nothing by it; tools are steps.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from perdure.ext.durable_here import in_step
from perdure.sdk.threads import in_run_thread


class HandlerExecutor(Executor):
    """Given to the agent's loop as what runs plain functions."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Gives a future of the loop, which `run_in_executor` passes on as it is: done already, outside of steps."""
        call = partial(fn, *args, **kwargs)
        if in_step():
            return asyncio.ensure_future(in_run_thread(call))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            done.set_result(call())
        except Exception as error:  # noqa: BLE001  it is whoever awaits the future who is to get it
            done.set_exception(error)
        return done
