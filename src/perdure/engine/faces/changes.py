"""How operators change what the engine keeps in memory: one after the other, each on what is committed."""

import asyncio
from types import TracebackType

from perdure.engine.events import CommitAwaited
from perdure.engine.faces.ask import Ask


class Changes:
    """The changes of one kind of thing: each is an `async with` of its own, in which memory is what is on disk.

    A change is planned on memory, and refused by it ("it exists", "it is at version 3"): on what is not on disk yet,
    somebody would be told what a crash may undo.

    Raises, on entering:
        EngineStopping: the engine stops, or a commit failed.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self._turn.acquire()
        try:
            await self._ask(CommitAwaited)  # whoever made the change before may have gone before its commit
        except BaseException:
            self._turn.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._turn.release()
