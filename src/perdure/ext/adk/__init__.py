"""Google ADK: agents whose model calls, tool calls and sessions survive crashes.

    app = App(name="support", root_agent=agent, plugins=[DurablePlugin()])
    runner = Runner(app=app, session_service=DurableSessionService())

Called in a handler, `runner.run_async(...)` goes on where it was.
"""

from perdure.ext.adk.answers import final_answer
from perdure.ext.adk.plugin import DurablePlugin
from perdure.ext.adk.sessions import DurableSessionService
from perdure.ext.adk.summaries import DurableEventSummarizer
from perdure.ext.remote_tools import remote_tool
from perdure.ext.tool_calls import Step, WithContext, as_step, with_context
from perdure.sdk.context import current_context, current_object_context

__all__ = [
    "DurableEventSummarizer",
    "DurablePlugin",
    "DurableSessionService",
    "Step",
    "WithContext",
    "as_step",
    "current_context",
    "current_object_context",
    "final_answer",
    "remote_tool",
    "with_context",
]
