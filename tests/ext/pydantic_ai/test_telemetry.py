"""Spans: what is replayed is not reported again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings

from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import asking, assistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Spans(trace.TracerProvider, trace.Tracer):
    """Notes the names of spans that have ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def get_tracer(self, *args: Any, **settings: Any) -> trace.Tracer:
        return self

    def start_span(self, name: str, *args: Any, **settings: Any) -> trace.Span:
        return _Span(name, self.ended)

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **settings: Any) -> Iterator[trace.Span]:
        with trace.use_span(self.start_span(name), end_on_exit=True) as span:
            yield span


class _Span(trace.NonRecordingSpan):
    def __init__(self, name: str, ended: list[str]) -> None:
        super().__init__(trace.SpanContext(1, 1, is_remote=False))
        self._name = name
        self._ended = ended

    def is_recording(self) -> bool:
        return True

    def end(self, end_time: int | None = None) -> None:
        self._ended.append(self._name)


@pytest.mark.parametrize("always_replay", [False, True])
async def test_each_request_and_tool_call_has_one_span(always_replay: bool, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("seen") if request.results else Reply.calling(("look", {}))

    def look() -> str:
        return "seen"

    spans = Spans()
    telemetry = Instrumentation(settings=InstrumentationSettings(tracer_provider=spans))
    asked = asking(assistant(tools=[look], capabilities=[telemetry]))
    async with Harness(asked.service, always_replay=always_replay) as h:
        assert await h.call(asked.ask, "?") == "seen"
    assert spans.ended.count("chat gpt-4o-mini") == 2
    assert spans.ended.count("execute_tool look") == 1
