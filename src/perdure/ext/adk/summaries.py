"""Summaries of long sessions, each recorded like any call of a model: what ADK calls the compaction of events."""

from typing import Any

from perdure.ext.adk import messages
from perdure.ext.adk.clock import Clock
from perdure.ext.adk.codecs import codec_of_optional
from perdure.ext.adk.run_guard import DurableRuns
from perdure.ext.codecs import Codec
from perdure.ext.conversation import Asked, Said
from perdure.ext.durable_here import durable_here, in_handler
from perdure.ext.missing import needs
from perdure.ext.model_calls import model_call
from perdure.sdk.capabilities.run_options import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.apps.base_events_summarizer import BaseEventsSummarizer
    from google.adk.apps.llm_event_summarizer import LlmEventSummarizer
    from google.adk.events.event import Event
    from google.adk.models.base_llm import BaseLlm
    from google.adk.models.llm_response import LlmResponse
    from google.genai import types


class DurableEventSummarizer(BaseEventsSummarizer):
    """A summarizer whose summaries are recorded: the messages that it sums up, not the words that it asks in."""

    def __init__(self, summarizer: BaseEventsSummarizer, *, run_options: RunOptions[Any] | None = None) -> None:
        self.summarizer = summarizer
        self._options = run_options

    async def maybe_summarize_events(self, *, events: list[Event]) -> Event | None:
        """The summary of these events, if there is to be one."""
        ctx = durable_here("DurableEventSummarizer")
        contents = [content for content in map(_content_of, events) if content is not None]

        async def summarize() -> Event | None:
            return await self.summarizer.maybe_summarize_events(events=events)

        def said(summary: Event | None) -> Said:
            answer = None if summary is None else _content_of(summary)
            usage = None if summary is None else summary.usage_metadata
            return messages.said(contents, [LlmResponse(content=answer, usage_metadata=usage)])

        asked = Asked(_model_of(self.summarizer), messages.messages_of(contents), agent="summarizer")
        summary = await model_call(asked, summarize, _SUMMARY, said, self._options)
        if summary is not None:
            summary.timestamp = ctx.attached(Clock).tick()
        return summary


class _WhereDurable(DurableEventSummarizer):
    """The same for an app's config, which apps may share that run elsewhere: there it is the summarizer as it was."""

    async def maybe_summarize_events(self, *, events: list[Event]) -> Event | None:
        ctx = in_handler()
        if ctx is not None and ctx.attached(DurableRuns).runs:
            return await super().maybe_summarize_events(events=events)
        return await self.summarizer.maybe_summarize_events(events=events)


def make_summaries_durable(invocation_context: InvocationContext, options: RunOptions[Any] | None) -> None:
    """Puts a durable summarizer into the app's config, where ADK, too, puts the one that it makes.

    A copy for this run would not do: after a run, ADK summarizes by the config of the app itself.
    """
    config = invocation_context.events_compaction_config
    if config is None or isinstance(config.summarizer, DurableEventSummarizer):
        return
    root = getattr(invocation_context.agent, "root_agent", None)
    summarizer = config.summarizer
    if summarizer is None and isinstance(root, LlmAgent):
        summarizer = LlmEventSummarizer(llm=root.canonical_model)
    if summarizer is not None:
        config.summarizer = _WhereDurable(summarizer, run_options=options)


def _content_of(event: Event) -> types.Content | None:
    """What an event says; of a summary, its text."""
    compaction = event.actions.compaction
    return event.content if compaction is None else compaction.compacted_content


def _model_of(summarizer: BaseEventsSummarizer) -> str:
    model = getattr(summarizer, "_llm", None)
    return model.model if isinstance(model, BaseLlm) else type(summarizer).__name__


_SUMMARY: Codec[Event | None] = codec_of_optional(Event)
