"""Asking a model: what goes over the wire, and what a failure is taken for."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from perdure.errors import RetryableError, TerminalError
from perdure.llm import Reply, llm_call, tool
from perdure.sdk.progress import run_key_var
from perdure.testing.call_log import Fate
from perdure.testing.model import Fault, ScriptedModel

TOOLS = [tool(name="BillingAgent", description="payments"), tool(name="AccountAgent", description="logins")]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        monkeypatch.setenv("OPENAI_BASE_URL", scripted.base_url)
        yield scripted


async def test_a_question_is_answered_with_text(model: ScriptedModel) -> None:
    assert await llm_call("hello") == Reply(content="You asked: hello")


async def test_with_tools_the_answer_names_one(model: ScriptedModel) -> None:
    reply = await llm_call([{"role": "system", "content": "route"}, {"role": "user", "content": "help"}], TOOLS)
    assert reply.tool_calls is not None
    assert reply.tool_calls[0].function.name == "BillingAgent"


async def test_inside_a_run_its_key_goes_along(model: ScriptedModel) -> None:
    token = run_key_var.set("inv_1-3")
    try:
        await llm_call("hello")
    finally:
        run_key_var.reset(token)
    assert model.log.count_by_key() == {"inv_1-3": 1}


@pytest.mark.parametrize(("fault", "fate"), [(Fault(status=500), Fate.REFUSED), (Fault(cut=True), Fate.CUT)])
async def test_what_may_pass_is_retryable(model: ScriptedModel, fault: Fault, fate: Fate) -> None:
    model.faults.append(fault)
    with pytest.raises(RetryableError):
        await llm_call("hello")
    assert [call.fate for call in model.log.calls] == [fate]


async def test_a_rate_limit_says_when_to_ask_again(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=429))
    with pytest.raises(RetryableError) as caught:
        await llm_call("hello")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 0.01


async def test_a_refusal_for_good_is_terminal_and_shows_the_reason(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=400))
    with pytest.raises(TerminalError, match="a planned fault"):
        await llm_call("hello")


async def test_an_endpoint_that_is_not_there_is_retryable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(RetryableError, match=r"127\.0\.0\.1:9"):
        await llm_call("hello")


@pytest.mark.parametrize("status", [408, 409, 425])
async def test_a_refusal_that_may_pass_is_retryable(model: ScriptedModel, status: int) -> None:
    model.faults.append(Fault(status=status))
    with pytest.raises(RetryableError):
        await llm_call("hello")


async def test_a_date_says_when_to_ask_again_too(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"))
    with pytest.raises(RetryableError) as caught:
        await llm_call("hello")
    assert caught.value.retry_after == timedelta()
