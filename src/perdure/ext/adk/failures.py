"""What ends a run of ADK although ADK would go on, and what is final of its own errors."""

from perdure.errors import TerminalError
from perdure.ext.failures import final, must_pass
from perdure.ext.missing import needs
from perdure.sdk.failures import decisive

with needs("google-adk", extra="adk"):
    from google.adk.agents.base_agent import BaseAgent
    from google.adk.agents.invocation_context import LlmCallsLimitExceededError
    from google.adk.agents.llm_agent import LlmAgent
    from pydantic import ValidationError


class EndingErrors:
    """Errors by which a run of ADK must end, although ADK goes on for a while: it tells the session, or the model.

    The next attempt may meet no such error, and what ADK had recorded meanwhile would not fit. So once there is one,
    models are not asked and sessions not written: `check` raises it there.
    """

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str | None], BaseException] = {}

    def note(self, invocation_id: str, error: BaseException, call_id: str | None = None) -> None:
        """Takes note of an error on its way through ADK. That of a tool's call may still be handled."""
        if must_pass(error):
            self._errors.setdefault((invocation_id, None), error)
        elif isinstance(error, Exception) and not isinstance(decisive(error), TerminalError):
            self._errors.setdefault((invocation_id, call_id), error)

    def insist(self, invocation_id: str, error: BaseException) -> None:
        """Takes note of an error of any kind: ADK would go on without what has failed."""
        self._errors.setdefault((invocation_id, None), error)

    def handled(self, invocation_id: str, call_id: str | None) -> None:
        """A callback has made an answer of what this call failed with."""
        if call_id is not None:
            self._errors.pop((invocation_id, call_id), None)

    def check(self, invocation_id: str) -> None:
        """Raises what was noted for this invocation of ADK."""
        for (noted, _), error in self._errors.items():
            if noted == invocation_id:
                raise error


def settle(error: Exception, agent: BaseAgent) -> None:
    """Makes an error of ADK's own final that follows from what is recorded: another attempt would come to it again."""
    says_schema = isinstance(agent, LlmAgent) and agent.output_schema is not None
    if isinstance(error, LlmCallsLimitExceededError) or (says_schema and isinstance(error, ValidationError)):
        final(error)
