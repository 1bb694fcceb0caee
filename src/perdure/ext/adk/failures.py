"""What ends a run of ADK although ADK would go on, and what is final of its own errors."""

from perdure.ext.failures import final, must_pass
from perdure.ext.missing import needs
from perdure.sdk.context import Context

with needs("google-adk", extra="adk"):
    from google.adk.agents.base_agent import BaseAgent
    from google.adk.agents.invocation_context import LlmCallsLimitExceededError
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.errors.already_exists_error import AlreadyExistsError
    from google.adk.errors.input_validation_error import InputValidationError
    from google.adk.errors.not_found_error import NotFoundError
    from google.adk.errors.session_not_found_error import SessionNotFoundError
    from pydantic import ValidationError

REPEATED = (
    LlmCallsLimitExceededError,
    AlreadyExistsError,
    InputValidationError,
    NotFoundError,
    SessionNotFoundError,
)
"""Errors of ADK that follow from what is recorded, so that another attempt would come to them again."""


class Unheeded:
    """Errors that ADK makes an answer for the model of, or only logs, though the run must end by them.

    It does so with a cancelled invocation where an agent is a tool, and with a toolset that could not be listed.
    """

    def __init__(self) -> None:
        self._errors: dict[str, BaseException] = {}

    def note(self, invocation_id: str, error: BaseException) -> None:
        self._errors.setdefault(invocation_id, error)

    def check(self, invocation_id: str) -> None:
        """Raises what was noted for this invocation of ADK."""
        if invocation_id in self._errors:
            raise self._errors[invocation_id]


def note(ctx: Context, invocation_id: str, error: BaseException) -> None:
    """Takes note of an error on its way through ADK, if it must end the run."""
    if must_pass(error):
        ctx.attached(Unheeded).note(invocation_id, error)


def check(ctx: Context, invocation_id: str) -> None:
    """Raises what should have ended this run."""
    ctx.attached(Unheeded).check(invocation_id)


def settle(error: Exception, agent: BaseAgent | None = None) -> None:
    """Makes an error of ADK's own final. `agent`: where it was raised, if that is known."""
    says_schema = isinstance(agent, LlmAgent) and agent.output_schema is not None
    if isinstance(error, REPEATED) or (says_schema and isinstance(error, ValidationError)):
        final(error)
