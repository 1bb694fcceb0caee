"""Refuses to keep the events of a run that has no DurablePlugin, since nothing of such a run would be recorded."""

from typing import Final

from perdure.errors import UsageError
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from google.adk.events.event import Event

_OF_A_RUN: Final = "e-"
"""How the ids begin that ADK gives to runs; an event that is made by hand has none, or one of its own."""


class DurableRuns:
    """The runs of this attempt that DurablePlugin has begun, by ADK's id."""

    def __init__(self) -> None:
        self.runs: set[str] = set()

    def check(self, event: Event) -> None:
        """Raises `UsageError` for an event of a run that the plugin has not begun."""
        if not event.invocation_id.startswith(_OF_A_RUN) or event.invocation_id in self.runs:
            return
        if event.author == "user" and event.content is None:
            return  # a change of state, or a rewind: ADK writes it before it tells plugins of the run, or without one
        raise UsageError(
            f"an agent runs with DurableSessionService, but without DurablePlugin: nothing of run "
            f"{event.invocation_id!r} would be recorded, and each attempt would ask its models and use its tools "
            "again. Make the app App(..., plugins=[DurablePlugin()]). An event that you append yourself needs an "
            "invocation_id of its own"
        )
