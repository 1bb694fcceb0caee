"""A model that takes its time: it answers when the others have long gone on without it."""

import asyncio
import threading

_GLANCE_S = 0.01
_LONG_AGO_S = 4.0
"""By then who asked has been cancelled; but an attempt that is a request and its response hears nothing meanwhile."""


class Thinking:
    """`await` it in a script. A scene says when it begins, and when nobody waits for the answer any more."""

    def __init__(self) -> None:
        self._in_vain = threading.Event()  # the model is served in a thread of its own

    def begin(self) -> None:
        """Whoever asks from now on waits."""
        self._in_vain.clear()

    def is_in_vain(self) -> None:
        """Who asked is being cancelled."""
        self._in_vain.set()

    async def __call__(self) -> None:
        """Returns a while after it is in vain."""
        while not self._in_vain.is_set():  # noqa: ASYNC110  by another thread
            await asyncio.sleep(_GLANCE_S)
        await asyncio.sleep(_LONG_AGO_S)
