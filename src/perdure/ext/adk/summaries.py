"""Summaries of long sessions, each recorded: what ADK calls the compaction of events."""

from typing import Any

import msgspec

from perdure.ext.adk.clock import Clock
from perdure.ext.codecs import Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import of_provider
from perdure.ext.missing import needs
from perdure.ext.steps import Entry, step
from perdure.sdk.capabilities.runs import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.apps.base_events_summarizer import BaseEventsSummarizer
    from google.adk.apps.llm_event_summarizer import LlmEventSummarizer
    from google.adk.events.event import Event


class DurableEventSummarizer(BaseEventsSummarizer):
    """A summarizer whose summaries are steps. DurablePlugin makes one of each that an app has."""

    def __init__(self, summarizer: BaseEventsSummarizer, *, run_options: RunOptions[Any] | None = None) -> None:
        self._summarizer = summarizer
        self._options: RunOptions[Any] = run_options or RunOptions()

    async def maybe_summarize_events(self, *, events: list[Event]) -> Event | None:
        """The summary of these events, if there is to be one."""

        async def summarize() -> Event | None:
            try:
                return await self._summarizer.maybe_summarize_events(events=events)
            except Exception as error:  # each library has its own: what is final is told from what is tried again
                raised = of_provider(error)
                if raised is error:
                    raise
                raise raised from error

        ctx = durable_here("DurableEventSummarizer")
        summary = await step(ctx, f"summarize {len(events)} events", summarize, _SUMMARY, self._options)
        if summary is not None:
            summary.timestamp = ctx.attached(Clock).tick()
        return summary


def make_summaries_durable(invocation_context: InvocationContext, options: RunOptions[Any] | None) -> None:
    """Puts a durable summarizer into the app's config, where ADK, too, puts the one that it makes."""
    config = invocation_context.events_compaction_config
    if config is None or isinstance(config.summarizer, DurableEventSummarizer):
        return
    root = getattr(invocation_context.agent, "root_agent", None)
    summarizer = config.summarizer
    if summarizer is None and isinstance(root, LlmAgent):
        summarizer = LlmEventSummarizer(llm=root.canonical_model)
    if summarizer is not None:
        config.summarizer = DurableEventSummarizer(summarizer, run_options=options)


def _to_json(summary: Event | None) -> Any:
    return None if summary is None else summary.model_dump(mode="json", by_alias=True, exclude_none=True)


def _from_json(value: Any) -> Event | None:
    return None if value is None else Event.model_validate_json(msgspec.json.encode(value))


_SUMMARY: Entry[Event | None] = Entry("summary", lambda summary: {}, "event", Codec(_to_json, _from_json))
