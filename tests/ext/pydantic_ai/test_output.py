"""What a run comes to: structured output, validators, deferred tools, and answers from outside."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.capabilities import RequestInput
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolDenied

import perdure
from perdure.ext.pydantic_ai import DurableAgent, DurableConversation, as_step
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, asking, assistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


class City(BaseModel):
    name: str
    people: int


def rome(request: ChatRequest) -> Reply:
    """The first answer does not fit, the second one does."""
    tried = sum(message["role"] == "tool" for message in request.messages)
    [name] = request.offered
    return Reply.calling((name, {"name": "Rome", "people": "many" if tried == 0 else 2_800_000}))


async def test_structured_output_is_asked_for_again_where_it_does_not_fit(model: ScriptedModel) -> None:
    model.script = rome
    asked = asking(assistant(output_type=City))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Rome?")
        assert await h.attach(asked.ask, sent) == {"name": "Rome", "people": 2_800_000}
        assert h.journal(sent).names("run") == ["Ann asks gpt-4o-mini", "Ann asks gpt-4o-mini"]
        await h.crash_at_every_step(asked.ask, "Rome?", model=model)


@pytest.mark.parametrize("is_async", [False, True])
async def test_output_validators_are_part_of_the_handler(is_async: bool, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("four" if "digits" in str(request.messages) else "4")
    agent = assistant()

    def check(output: str) -> str:
        if output == "4":
            raise ModelRetry("no digits, please")
        return output

    async def check_async(output: str) -> str:
        return check(output)

    agent.output_validator(check_async if is_async else check)
    asked = asking(agent)
    async with Harness(asked.service, always_replay=True) as h:
        assert await h.call(asked.ask, "2 + 2?") == "four"


async def test_instructions_and_prompts_may_be_functions(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(request.instructions)
    agent = assistant()

    @agent.instructions
    def be_kind() -> str:
        return "Be kind."

    @agent.system_prompt
    async def be_brief(run: RunContext[None]) -> str:
        return "Be brief."

    asked = asking(agent)
    async with Harness(asked.service, always_replay=True) as h:
        said = await h.call(asked.ask, "Hi")
        assert "Be kind." in said
        assert "Be brief." in said


def delete_both(request: ChatRequest) -> Reply:
    if request.results:
        return Reply(" | ".join(request.results.values()))
    return Reply.calling(("delete", {"path": "a"}), ("fetch", {"url": "b"}))


@pytest.mark.parametrize("recorded", ["step", "context"])
async def test_deferred_tools_are_answered_in_a_later_run(recorded: str, model: ScriptedModel) -> None:
    """A run ends with what needs an answer; the answers come to another handler, which goes on from there."""
    model.script = delete_both

    async def delete(run: RunContext[None], path: str) -> str:
        if not run.tool_call_approved:
            raise ApprovalRequired(metadata={"path": path})
        return f"{path} is deleted"

    async def fetch(url: str) -> str:
        raise CallDeferred

    tools = [as_step(delete), as_step(fetch)] if recorded == "step" else [delete, fetch]
    agent = DurableAgent(assistant(tools=tools, output_type=[str, DeferredToolRequests]))
    desk = perdure.VirtualObject("Desk")

    @desk.handler()
    async def begin(ctx: perdure.ObjectContext, question: str) -> list[str]:
        conversation = DurableConversation(ctx)
        result = await agent.run(question, conversation=await conversation.load())
        await conversation.save(result)
        assert isinstance(result.output, DeferredToolRequests)
        return [call.tool_name for call in (*result.output.approvals, *result.output.calls)]

    @desk.handler()
    async def go_on(ctx: perdure.ObjectContext, approve: bool) -> Any:
        conversation = DurableConversation(ctx)
        loaded = await conversation.load()
        requests = loaded.deferred_tool_requests
        assert requests is not None
        answers = DeferredToolResults(
            approvals={call.tool_call_id: approve or ToolDenied("no") for call in requests.approvals},
            calls={call.tool_call_id: "the page" for call in requests.calls},
        )
        result = await agent.run(conversation=loaded, deferred_tool_results=answers)
        await conversation.save(result)
        return result.output

    async with Harness(desk) as h:
        assert await h.call(begin, "Clean up", key="a") == ["delete", "fetch"]
        assert await h.call(go_on, True, key="a") == "a is deleted | the page"

        async def before(harness: Harness) -> None:
            await harness.call(begin, "Clean up", key="a")

        await h.crash_at_every_step(go_on, False, key="a", before=before, model=model)


@pytest.mark.parametrize("answer", ["approve", "never"])
async def test_a_run_may_wait_for_a_person_by_pydantic_ais_own_means(answer: str, model: ScriptedModel) -> None:
    """The token that it hands out is an awakeable, so the wait costs nothing, and survives."""
    model.script = lambda request: (
        Reply(request.results["delete"]) if request.results else Reply.calling(("delete", {"path": "a"}))
    )

    async def delete(run: RunContext[None], path: str) -> str:
        if not run.tool_call_approved:
            raise ApprovalRequired
        return f"{path} is deleted"

    asked_for: list[tuple[str, str]] = []

    async def ask(run: RunContext[None], requests: DeferredToolRequests, token: str) -> None:
        asked_for.append((token, requests.approvals[0].tool_call_id))

    asked = asking(assistant(tools=[delete], capabilities=[RequestInput(ask, timeout=timedelta(days=60))]))

    async def meanwhile(h: Harness) -> None:
        before = len(asked_for)
        while len(asked_for) == before:
            await h.settle()
        await h.advance(timedelta(days=30))
        token, call_id = asked_for[-1]
        if answer == "approve":
            await h.resolve_awakeable(token, {"approvals": {call_id: True}})

    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Clean up")
        await meanwhile(h)
        expected = "a is deleted" if answer == "approve" else "No decision on this tool call arrived"
        assert expected in await h.attach(asked.ask, sent)


async def test_messages_of_a_run_can_be_kept_as_json(model: ScriptedModel) -> None:
    agent = DurableAgent(assistant())

    async def do(question: str) -> list[str]:
        result = await agent.run(question)
        again = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
        result = await agent.run("And now?", message_history=again)
        return [message.kind for message in result.all_messages()]

    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        assert await h.attach(asked.ask, sent) == ["request", "response", "request", "response"]
        # What was said in the first run is known in the second.
        assert h.journal(sent).runs()[1].value["model_call"]["follows"] == {"call": 1, "messages": 2}
