"""Sessions that are kept elsewhere. What is read of them is recorded; what is added is added in a step, once.

A replay must see the history that the first attempt saw, whatever has become of the session meanwhile. So the journal
holds it: an item once, however often the invocation reads it.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import msgspec
from agents import Session, SessionABC, TResponseInputItem
from pydantic import BaseModel

from perdure.ext.codecs import PLAIN, Codec
from perdure.ext.conversation import Conversations
from perdure.ext.durable_here import durable_here
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.messages import as_messages
from perdure.ext.openai.named_step import named_step


class RecordedSession(SessionABC):
    """A session of the user's, for one durable run."""

    def __init__(self, wrapped: Session) -> None:
        self.wrapped = wrapped
        self.session_id = wrapped.session_id
        self.session_settings = wrapped.session_settings

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The items in order, or so many of the last."""
        ctx = durable_here("a session")
        known = ctx.attached(_Sessions).known(self.session_id)

        async def read() -> list[Any]:
            return as_dicts(await self.wrapped.get_items(limit))

        items = await self._step("read", read, known.codec())
        known.add(items)
        ctx.attached(Conversations).loaded(self.session_id, as_messages(items))
        return items

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds items at the end."""
        await self._step("add to", lambda: self.wrapped.add_items(items))

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the last item off."""
        return await self._step("take from", self.wrapped.pop_item)

    async def clear_session(self) -> None:
        """Takes all items off."""
        await self._step("clear", self.wrapped.clear_session)

    async def _step(self, verb: str, body: Callable[[], Awaitable[Any]], codec: Codec[Any] = PLAIN) -> Any:
        with wrapping_cancels():
            return await named_step("session", f"{verb} session {self.session_id}", body, codec)


def as_dicts(items: Iterable[Any]) -> list[Any]:
    """Items as JSON has them."""
    return [each.model_dump(mode="json", exclude_unset=True) if isinstance(each, BaseModel) else each for each in items]


class _Known:
    """The items of one session that were read in this invocation. The same on every attempt, as its journal is.

    They are kept as text: what is handed out is the framework's, which may change it.
    """

    def __init__(self) -> None:
        self._items: list[bytes] = []
        self._places: dict[bytes, int] = {}

    def add(self, items: Iterable[Any]) -> None:
        """Takes note of items that were read."""
        for item in map(msgspec.json.encode, items):
            if item not in self._places:
                self._places[item] = len(self._items)
                self._items.append(item)

    def codec(self) -> Codec[list[Any]]:
        """Writes items that are known by their places, `[first, one past the last]`, and others as they are."""
        known = len(self._items)  # others may become known before what is read is written

        def to_json(items: list[Any]) -> list[Any]:
            written: list[Any] = []
            for item in items:
                place = self._places.get(msgspec.json.encode(item), known)
                if place >= known:
                    written.append(item)
                elif written and isinstance(written[-1], list) and written[-1][1] == place:
                    written[-1][1] += 1
                else:
                    written.append([place, place + 1])
            return written

        def from_json(written: list[Any]) -> list[Any]:
            items: list[Any] = []
            for each in written:
                if isinstance(each, list):
                    first, end = cast("list[int]", each)
                    items.extend(map(msgspec.json.decode, self._items[first:end]))
                else:
                    items.append(each)
            return items

        return Codec(to_json, from_json)


class _Sessions:
    """What is known of each session, by its id."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def known(self, session_id: str) -> _Known:
        """What is known of this one."""
        return self._known.setdefault(session_id, _Known())
