"""Where sessions are kept: lists that only grow, in the state of a virtual object, or else as long as the invocation.

A session is a list of its events. What state it has is what the events changed, one after the other, so nothing else is
stored of it.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import quote, unquote

from perdure.errors import UsageError
from perdure.ext.adk.shared_state import KeptState, PassingState, SharedState
from perdure.ext.state_log import StateLog
from perdure.sdk.capabilities.state import WritesState
from perdure.sdk.context import Context, ObjectSharedContext


class Log(Protocol):
    """A list of JSON values."""

    async def items(self, last: int | None = None) -> list[Any]:
        """All values, or so many of the last."""
        ...

    async def append(self, values: Iterable[Any]) -> None:
        """Adds values at the end."""
        ...

    async def clear(self) -> None:
        """Takes all values off."""
        ...


class PassingLog:
    """A list that is there until the invocation ends, and is made again on replay: for handlers that have no state."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    async def items(self, last: int | None = None) -> list[Any]:
        return self._values[:] if last is None else self._values[max(0, len(self._values) - last) :]

    async def append(self, values: Iterable[Any]) -> None:
        self._values += values

    async def clear(self) -> None:
        self._values.clear()


class Logs:
    """All lists of one handler. Changes are made one at a time, as tasks of the handler may share a user."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.changing = ctx.attached(_Shared).changing
        self.writable = isinstance(ctx, WritesState) or not isinstance(ctx, ObjectSharedContext)

    def session(self, app_name: str, user_id: str, session_id: str) -> Log:
        """The events of a session, after the state that it began with."""
        return self._log(_name("session", app_name, user_id, session_id))

    def user(self, app_name: str, user_id: str) -> SharedState:
        """What is known of a user."""
        return self._state(_name("user", app_name, user_id))

    def app(self, app_name: str) -> SharedState:
        """What is known to all of an app's sessions."""
        return self._state(_name("app", app_name))

    async def sessions(self, app_name: str, user_id: str | None) -> list[tuple[str, str]]:
        """User and id of each session that there is, or once was."""
        ctx = self.ctx
        names = await ctx.state_keys() if isinstance(ctx, ObjectSharedContext) else [*ctx.attached(_Shared).passing]
        found = [parts for parts in map(_parts, names) if len(parts) == 4 and parts[:2] == ["session", app_name]]
        return [(user, session) for _, _, user, session in found if user_id in (None, user)]

    def check_writes(self, what: str) -> None:
        """Raises `UsageError` in a shared handler."""
        if not self.writable:
            raise UsageError(f"{what} in a shared handler, which can only read sessions: use an exclusive handler")

    def _log(self, name: str) -> Log:
        ctx = self.ctx
        if isinstance(ctx, ObjectSharedContext):
            return StateLog(ctx, name)
        return ctx.attached(_Shared).passing.setdefault(name, PassingLog())

    def _state(self, name: str) -> SharedState:
        ctx = self.ctx
        if isinstance(ctx, ObjectSharedContext):
            return KeptState(ctx, name)
        return ctx.attached(_Shared).states.setdefault(name, PassingState())


class _Shared:
    """What the tasks of one attempt share."""

    def __init__(self) -> None:
        self.passing: dict[str, PassingLog] = {}
        self.states: dict[str, PassingState] = {}
        self.changing = asyncio.Lock()


def _name(*parts: str) -> str:
    return "adk/" + "/".join(quote(part, safe="") for part in parts)


def _parts(name: str) -> list[str]:
    """What `_name` was made of; of an item's key, one more."""
    head, _, rest = name.partition("/")
    return [unquote(part) for part in rest.split("/")] if head == "adk" else []
