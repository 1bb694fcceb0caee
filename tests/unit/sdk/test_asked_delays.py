"""What providers ask for is the next retry's delay, whatever library it comes by."""

import urllib.error
from datetime import UTC, datetime, timedelta
from email.message import Message as EmailMessage
from email.utils import format_datetime
from typing import Any

import anthropic
import httpx
import openai
import pytest

from perdure.errors import RetryableError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType
from perdure.sdk.asked_delays import DELAY_MAX, retry_after_of
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.context import Context
from perdure.sdk.failures import error_message
from perdure.sdk.service import Service
from tests.unit.sdk.journal_engine import JournalEngine, answer_nothing

REQUEST = httpx.Request("POST", "https://api.example.com/v1/chat/completions")


def response(**headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(429, headers=named, request=REQUEST)


def of_httpx(**headers: str) -> Exception:
    return httpx.HTTPStatusError("429", request=REQUEST, response=response(**headers))


def caused(cause: BaseException, error: Exception | None = None) -> Exception:
    error = error or RuntimeError("the model failed")
    error.__cause__ = cause
    return error


class Holding(Exception):
    """An error of a library that is not here, with the attributes that it has."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def emailed() -> EmailMessage:
    message = EmailMessage()
    message["Retry-After"] = "7"
    return message


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
SEVEN = {"retry-after": "7"}

ERRORS: dict[str, BaseException] = {
    "openai": openai.RateLimitError("slow down", response=response(retry_after="7"), body=None),
    "anthropic": anthropic.RateLimitError("slow down", response=response(retry_after="7"), body=None),
    "httpx": of_httpx(retry_after="7"),
    "milliseconds": openai.RateLimitError("x", response=response(retry_after_ms="7000", retry_after="99"), body=None),
    "urllib": urllib.error.HTTPError("http://x", 503, "busy", emailed(), None),
    "aiohttp": Holding(status=429, headers={"Retry-After": "7"}),
    "litellm": Holding(status_code=429, litellm_response_headers=SEVEN),
    "google": Holding(code=429, details={"error": {"code": 429, "details": [{"@type": "Help"}, RETRY_INFO]}}),
    "seconds": Holding(retry_after=7),
    "text": Holding(retry_after="7.0"),
    "timedelta": Holding(retry_after=timedelta(seconds=7)),
    "wrapped": caused(of_httpx(retry_after="7")),
    "group": ExceptionGroup("several", [ValueError(), of_httpx(retry_after="7"), of_httpx(retry_after="3")]),
}


@pytest.mark.parametrize("library", ERRORS)
def test_the_delay_is_found_on_whatever_holds_it(library: str) -> None:
    assert retry_after_of(ERRORS[library]) == timedelta(seconds=7)


def test_a_date_is_a_delay_from_now() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    asked = retry_after_of(of_httpx(retry_after=soon))
    assert asked is not None
    assert timedelta(minutes=55) < asked <= timedelta(hours=1)
    assert retry_after_of(of_httpx(retry_after="Wed, 21 Oct 2015 07:28:00 GMT")) == timedelta()


class Hostile(Exception):
    @property
    def response(self) -> object:
        raise RuntimeError("no")


def circle() -> Exception:
    error = ValueError("x")
    error.__cause__ = error
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        of_httpx(),
        of_httpx(retry_after="soon"),
        of_httpx(retry_after="nan"),
        of_httpx(retry_after="Mon, 99 Foo 9999 07:28:00 GMT"),
        Holding(retry_after=True, response=None, headers=3, details=[1, "x", {}]),
        Hostile(),
        circle(),
    ],
    ids=repr,
)
def test_nothing_usable_is_nothing(error: Exception) -> None:
    assert retry_after_of(error) is None


@pytest.mark.parametrize(("said", "kept"), [("-5", timedelta()), ("1e300", DELAY_MAX), ("7200", DELAY_MAX)])
def test_delays_are_bounded(said: str, kept: timedelta) -> None:
    assert retry_after_of(of_httpx(retry_after=said)) == kept


def test_what_code_says_itself_comes_first() -> None:
    assert error_message(of_httpx(retry_after="7")).next_retry_delay == 7000
    said = caused(of_httpx(retry_after="7"), RetryableError("busy", retry_after=timedelta(seconds=1)))
    assert error_message(said).next_retry_delay == 1000
    unsaid = caused(of_httpx(retry_after="7"), RetryableError("busy"))
    assert error_message(unsaid).next_retry_delay == 7000


async def failed_with(options: RunOptions[None]) -> tuple[pb.ErrorMessage | None, int]:
    """The error of the first attempt that did not end the run, and how often the run was executed."""
    executions: list[int] = []

    async def ask() -> None:
        executions.append(1)
        raise openai.RateLimitError("slow down", response=response(retry_after="7"), body=None)

    async def handler(ctx: Context) -> None:
        await ctx.run_typed("ask", ask, options)

    service = Service("Test")
    service.handler("run")(handler)
    engine = JournalEngine(service.handlers["run"], answer=answer_nothing)
    engine.begin()
    last = await engine.ended()
    first = last.message if last.type == MessageType.ERROR else None
    engine.retries, engine.retried_for_ms = 1, 7000
    if first is not None:
        engine.begin()
        await engine.ended()
    assert first is None or isinstance(first, pb.ErrorMessage)
    return first, len(executions)


async def test_a_run_is_tried_again_when_its_provider_said_within_its_own_limits() -> None:
    error, executions = await failed_with(RunOptions(max_attempts=2, initial_retry_interval=timedelta(minutes=5)))
    assert error is not None
    assert (error.next_retry_delay, executions) == (7000, 2)
    error, executions = await failed_with(RunOptions(max_attempts=1))
    assert (error, executions) == (None, 1)
    error, executions = await failed_with(RunOptions(max_duration=timedelta(seconds=5)))
    assert error is not None
    assert executions == 2
