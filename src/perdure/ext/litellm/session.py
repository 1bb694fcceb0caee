"""What a session has said: the messages of a virtual object, a state key a message."""

from typing import Any

from perdure.ext.conversation import Conversations
from perdure.ext.durable_here import durable_here
from perdure.ext.litellm.messages import Message, recorded, sent
from perdure.ext.state_log import StateLog


class DurableSession:
    """The messages of the object that this code runs in; those of several agents are kept apart by `name`.

    A turn writes only the messages that it adds, and its model calls refer to those that were loaded.
    """

    def __init__(self, name: str = "messages") -> None:
        self._name = name
        self._context = durable_here("DurableSession")
        self._log = StateLog(self._context, name)

    async def messages(self) -> list[dict[str, Any]]:
        """All that was said, oldest first, ready to be sent."""
        messages = await self._log.items()
        self._context.attached(Conversations).loaded(self._name, [recorded(each) for each in messages])
        return messages

    async def add(self, *messages: Message) -> None:
        """Keeps messages: dicts, or those of responses as they came."""
        await self._log.append([sent(each) for each in messages])
