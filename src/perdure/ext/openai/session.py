"""The session of a durable run: in the state of the virtual object of its handler, or one of the user's."""

from agents import (
    Session,
    SessionABC,
    SessionSettings,
    TResponseInputItem,
    is_openai_responses_compaction_aware_session,
)

from perdure.errors import UsageError
from perdure.ext.conversation import Conversations
from perdure.ext.durable_here import durable_here
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.messages import as_messages
from perdure.ext.openai.recorded_session import RecordedSession, as_dicts
from perdure.ext.state_log import StateLog


class DurableSession(SessionABC):
    """The conversation of one virtual object: an item a state key, so that a turn writes only what it adds.

    `name`: the state key that they go by, for objects that hold several conversations.
    In a shared handler it can be read: `await DurableSession().get_items()`.

    Raises:
        UsageError: this is a handler of a plain service, which has no state.
    """

    def __init__(self, name: str = "items", session_settings: SessionSettings | None = None) -> None:
        self._log = StateLog(durable_here("DurableSession"), name)
        ctx = self._log.ctx
        self.session_id = f"{ctx.target.rpartition('/')[0]}/{ctx.key()}"
        self.session_settings = session_settings
        self._name = name

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The items in order, or so many of the last."""
        last = limit if limit is not None or self.session_settings is None else self.session_settings.limit
        with wrapping_cancels():
            items = await self._log.items(last)
        self._log.ctx.attached(Conversations).loaded(self._name, as_messages(items))
        return items

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds items at the end."""
        with wrapping_cancels():
            await self._log.append(as_dicts(items))

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the last item off."""
        with wrapping_cancels():
            return await self._log.pop()

    async def clear_session(self) -> None:
        """Takes all items off."""
        with wrapping_cancels():
            await self._log.clear()


def check_not_durable(session: Session | None) -> None:
    """Checks that a run which is not durable has no session that is.

    Raises:
        UsageError: it has one, so it would be taken for a durable run.
    """
    if isinstance(session, DurableSession):
        raise UsageError(
            "Runner was given a DurableSession, but records no model call and no tool: they would be done again on "
            "each attempt. Use DurableRunner.run, with the same arguments"
        )


def durable_session(session: Session | None) -> Session | None:
    """The session as one that a durable run can use."""
    if session is None or isinstance(session, (DurableSession, RecordedSession)):
        return session
    if is_openai_responses_compaction_aware_session(session):
        raise UsageError(
            f"{type(session).__name__} compacts its history by calls of its own, which cannot be recorded yet. Use "
            "use_durable_session=True, or the session that it wraps"
        )
    try:
        return RecordedSession(session)
    except ValueError as error:
        raise UsageError(
            f"{type(session).__name__} has no id before it is used, so a replay would begin another conversation: make "
            "one first, and give it its id, as by conversation_id"
        ) from error
