"""Conversations that are kept in the state of a virtual object, a message a key."""

from typing import Any, cast

from perdure.ext.conversation import Conversations
from perdure.ext.missing import needs
from perdure.ext.pydantic_ai.messages import as_messages
from perdure.ext.state_log import StateLog
from perdure.sdk.context import ObjectContext, ObjectSharedContext

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.conversation import Conversation, ConversationTypeAdapter
    from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
    from pydantic_ai.run import AgentRunResult


class DurableConversation:
    """One conversation: load it before a run and save the run's result, which writes only what is new.

        conversation = DurableConversation(ctx)
        result = await agent.run(text, conversation=await conversation.load())
        await conversation.save(result)

    In a shared handler it can be loaded only. `name` is the state key; its messages are below it.
    """

    def __init__(self, ctx: ObjectSharedContext, name: str = "conversation") -> None:
        self._ctx = ctx
        self._name = name
        self._log = StateLog(ctx, f"{name}/messages")

    async def load(self) -> Conversation:
        """What was said so far, what it cost, and the deferred tool calls that it waits for."""
        rest = await self._ctx.get(self._name, type_hint=dict[str, Any])
        conversation_id = str(self._ctx.uuid()) if rest is None else rest["conversation_id"]
        messages = await self.messages()
        self._ctx.attached(Conversations).loaded(self._name, as_messages(messages))
        loaded = ConversationTypeAdapter.validate_python({**(rest or {}), "conversation_id": conversation_id})
        loaded.messages, loaded.new_message_index = messages, len(messages)
        return loaded

    async def messages(self, last: int | None = None) -> list[ModelMessage]:
        """All messages in order, or so many of the last."""
        return ModelMessagesTypeAdapter.validate_python(await self._log.items(last))

    async def save(self, result: AgentRunResult[Any]) -> None:
        """Adds what the run has added, and keeps the rest of the conversation as it is now."""
        conversation = result.conversation
        new = conversation.messages[conversation.new_message_index or 0 :]
        await self._log.append(ModelMessagesTypeAdapter.dump_python(new, mode="json"))
        told = {"usage", "conversation_id", "deferred_tool_requests"}
        ctx = cast("ObjectContext", self._ctx)  # else nothing could have been appended
        ctx.set(self._name, ConversationTypeAdapter.dump_python(conversation, mode="json", include=told))
