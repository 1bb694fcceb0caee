"""Agents that hand over, that are tools, that guard others: all of them go by the one journal."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from agents import (
    Agent,
    AgentHooks,
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    OutputGuardrail,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    Runner,
    RunState,
    ToolGuardrailFunctionOutput,
    TracingProcessor,
    function_tool,
    handoff,
    set_trace_processors,
    set_tracing_disabled,
    tool_input_guardrail,
    tool_output_guardrail,
)
from agents.testing import ScriptedModel as InProcess
from agents.testing import assistant_message, function_call

import perdure
from perdure import TerminalError
from perdure.errors import UsageError
from perdure.ext.openai import DurableRunner, current_context, durable_function_tool
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.openai.asking import IN_ONE_LOOP, MODEL, Asking, ann, asking, calling

pytestmark = IN_ONE_LOOP


@pytest.mark.parametrize("agent", [Agent, "ann"])
async def test_what_is_no_agent_is_refused_and_spoils_nothing(model: ScriptedModel, agent: Any) -> None:
    agents = perdure.Service("Agents")

    @agents.handler()
    async def ask(ctx: perdure.Context) -> str:
        with pytest.raises(UsageError, match="takes an agent, such as Agent"):
            await DurableRunner.run(agent, "?")
        with pytest.raises(UsageError, match="was given None"):
            await DurableRunner.run(Agent(name="bob", model="gpt-4o-mini"), cast("Any", None))
        return str((await DurableRunner.run(Agent(name="bob", model="gpt-4o-mini"), "?")).final_output)

    model.script = lambda request: Reply("here")
    async with Harness(agents) as h:
        assert await h.call(ask) == "here"


def billing(**settings: Any) -> Agent[Any]:
    return Agent(**{"name": "Billing", "model": MODEL, "instructions": "You know bills.", **settings})


def hands_over(request: ChatRequest) -> Reply:
    """A model that hands over, calls a tool, answers."""
    if "transfer_to_billing" in request.offered:
        return Reply.calling(("transfer_to_billing", {}))
    return Reply("paid") if "look_up" in request.results else Reply.calling(("look_up", {}))


async def test_who_takes_over_is_durable_too(model: ScriptedModel) -> None:
    times: list[int] = []

    def look_up() -> str:
        times.append(1)
        return "paid"

    model.script = hands_over
    tested = asking(ann(handoffs=[billing(tools=[function_tool(look_up)])]))
    journal = await tested.journal(always_replay=True)
    assert journal.names("run") == [
        "Ann asks gpt-4o-mini", "Billing asks gpt-4o-mini", "tool look_up", "Billing asks gpt-4o-mini",
    ]  # fmt: skip
    assert times == [1]


async def test_a_handoff_object_with_a_callback_and_a_circle(model: ScriptedModel) -> None:
    told: list[str] = []

    async def on_handoff(ctx: Any) -> None:
        told.append(await current_context().run_typed("tell", lambda: "told"))

    bill = billing(model=InProcess([[function_call("transfer_to_ann", {}, call_id="2")]] * 9))
    answers = [[function_call("transfer_to_billing", {}, call_id="1")], [assistant_message("back again")]]
    agent = ann(model=InProcess(answers), handoffs=[handoff(bill, on_handoff=on_handoff)])
    bill.handoffs = [agent]
    assert await asking(agent).comes_to() == "back again"
    assert told == ["told"]


async def test_an_agent_that_is_a_tool_is_durable_with_its_own_model_and_tools(model: ScriptedModel) -> None:
    times: list[int] = []

    def look_up() -> str:
        times.append(1)
        return "twice"

    own = InProcess([[function_call("look_up", {}, call_id="1")], [assistant_message("charged twice")]])
    expert = billing(model=own, tools=[function_tool(look_up)])
    model.script = calling(("ask_billing", {"input": "how often?"}))
    tested = asking(ann(tools=[expert.as_tool("ask_billing", "Knows bills")]))
    async with Harness(tested.service, always_replay=True) as h:
        sent = await h.send(tested.ask, "?")
        assert await h.attach(tested.ask, sent) == "charged twice"
        journal = h.journal(sent.invocation_id)
    assert times == [1]
    assert journal.names("run") == [
        "Ann asks gpt-4o-mini", "Billing asks ScriptedModel", "tool look_up", "Billing asks ScriptedModel",
        "Ann asks gpt-4o-mini",
    ]  # fmt: skip


async def test_two_agents_that_are_tools_run_at_the_same_time(model: ScriptedModel) -> None:
    def expert(name: str, hours: int) -> Any:
        async def nap() -> str:
            await current_context().sleep(timedelta(hours=hours))
            return await current_context().run_typed(f"{name} wakes", lambda: name)

        own = Agent(name=name, model=MODEL, instructions=name, tools=[durable_function_tool(nap)])
        return own.as_tool(f"ask_{name}", name)

    def script(request: ChatRequest) -> Reply:
        if request.instructions == "Be brief.":
            return calling(("ask_slow", {"input": "slow?"}), ("ask_quick", {"input": "quick?"}))(request)
        return calling(("nap", {}))(request)

    model.script = script
    tested = asking(ann(tools=[expert("slow", 2), expert("quick", 1)]))
    async with Harness(tested.service, always_replay=True) as h:
        sent = await h.send(tested.ask, "?")
        assert await h.attach(tested.ask, sent) == "slow | quick"
        names = h.journal(sent.invocation_id).names("run")
    assert names.index("quick wakes") < names.index("slow wakes")


async def test_a_cancel_ends_an_agent_that_is_a_tool(model: ScriptedModel, wait_until: Any) -> None:
    async def wait() -> str:
        await current_context().sleep(timedelta(days=1))
        return "waited"

    own = InProcess([[function_call("wait", {}, call_id="1")], [assistant_message("never said")]])
    expert = billing(model=own, tools=[durable_function_tool(wait)])
    model.script = calling(("ask_billing", {"input": "how often?"}))
    tested = asking(ann(tools=[expert.as_tool("ask_billing", "Knows bills")]))
    async with Harness(tested.service) as h:
        sent = await h.send(tested.ask, "?")
        await wait_until(lambda: "sleep" in h.journal(sent.invocation_id).types(), "it waits")
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent.invocation_id)
    assert outcome.failure is not None
    assert outcome.failure.code == 409


def guard(triggered: bool, asked: list[str] | None = None) -> Any:
    """A guardrail that asks an agent of its own, by the SDK's own runner."""

    async def check(ctx: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
        result = await Runner.run(Agent(name="Guard", model=MODEL), "Is this right?")
        return GuardrailFunctionOutput(result.final_output, triggered)

    return check


async def test_a_guardrail_that_asks_an_agent_beside_the_run_is_recorded(model: ScriptedModel) -> None:
    agent = ann(
        input_guardrails=[InputGuardrail(guard(False)), InputGuardrail(guard(False), run_in_parallel=False)],
        output_guardrails=[OutputGuardrail(guard(False))],
    )
    tested = asking(agent)
    async with Harness(tested.service) as h:
        sent = await h.send(tested.ask, "hello")
        assert await h.attach(tested.ask, sent) == "You asked: hello"
        names = h.journal(sent.invocation_id).names("run")
        await h.crash_at_every_step(tested.ask, "hello", model=model)
    assert sorted(names) == ["Ann asks gpt-4o-mini", *["Guard asks gpt-4o-mini"] * 3]


@pytest.mark.parametrize(
    ("guards", "error"),
    [
        ({"input_guardrails": [InputGuardrail(guard(True))]}, InputGuardrailTripwireTriggered),
        ({"output_guardrails": [OutputGuardrail(guard(True))]}, OutputGuardrailTripwireTriggered),
    ],
)
async def test_a_tripwire_is_final_and_keeps_its_type(guards: Any, error: Any, model: ScriptedModel) -> None:
    caught: list[Exception] = []

    async def do(question: str) -> Any:
        try:
            return await DurableRunner.run(ann(**guards), question)
        except error as tripped:
            caught.append(tripped)
            raise

    with pytest.raises(TerminalError, match="Tripwire"):
        await Asking(do).comes_to()
    assert caught


async def test_a_plain_guardrail_is_one_step(model: ScriptedModel) -> None:
    times: list[str] = []

    def check(ctx: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
        times.append(text)
        return GuardrailFunctionOutput({"seen": text}, False)

    async def do(question: str) -> Any:
        result = await DurableRunner.run(
            ann(), question, run_config=RunConfig(input_guardrails=[InputGuardrail(check)])
        )
        return result.input_guardrail_results[0].output.output_info

    assert await Asking(do).comes_to("hello", always_replay=True) == {"seen": "hello"}
    assert times == ["hello"]


async def test_a_guardrail_that_awaits_something_else_is_reported(model: ScriptedModel) -> None:
    async def check(ctx: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
        await asyncio.sleep(0.01)
        return GuardrailFunctionOutput(None, False)

    with pytest.raises(AssertionError, match="guardrail check awaits something other"):
        await asking(ann(input_guardrails=[InputGuardrail(check)])).comes_to()


async def test_guardrails_of_tools_are_recorded(model: ScriptedModel) -> None:
    times: list[str] = []

    @tool_input_guardrail
    def careful(data: Any) -> ToolGuardrailFunctionOutput:
        times.append("in")
        return ToolGuardrailFunctionOutput.allow()

    @tool_output_guardrail
    def discreet(data: Any) -> ToolGuardrailFunctionOutput:
        times.append("out")
        return ToolGuardrailFunctionOutput.reject_content("a secret")

    def tell() -> str:
        return "the code is 1234"

    model.script = calling(("tell", {}))
    tool = function_tool(tell, tool_input_guardrails=[careful], tool_output_guardrails=[discreet])
    assert await asking(ann(tools=[tool])).comes_to(always_replay=True) == "a secret"
    assert times == ["in", "out"]


async def test_too_many_turns_are_final_and_keep_their_type(model: ScriptedModel) -> None:
    def again() -> str:
        return "again"

    caught: list[Exception] = []

    async def do(question: str) -> Any:
        try:
            return await DurableRunner.run(ann(tools=[function_tool(again)]), question, max_turns=3)
        except MaxTurnsExceeded as error:
            caught.append(error)
            raise

    model.script = lambda request: Reply.calling(("again", {}))
    with pytest.raises(TerminalError, match="Max turns"):
        await Asking(do).comes_to()
    assert caught


async def test_two_runs_at_the_same_time_go_by_one_journal(model: ScriptedModel) -> None:
    async def do(question: str) -> list[str]:
        runs = [DurableRunner.run(Agent(name=name, model=MODEL), name) for name in ("a", "b", "c")]
        return [result.final_output for result in await asyncio.gather(*runs)]

    tested = Asking(do)
    async with Harness(tested.service) as h:
        assert await h.call(tested.ask, "?") == ["You asked: a", "You asked: b", "You asked: c"]
        await h.crash_at_every_step(tested.ask, "?", model=model)


async def test_hooks_see_each_turn_and_the_result_names_the_agent(model: ScriptedModel) -> None:
    class Hooks(AgentHooks[Any]):
        async def on_end(self, context: Any, agent: Any, output: Any) -> None:
            ended.append(agent.name)

    ended: list[str] = []

    async def do(question: str) -> str:
        result = await DurableRunner.run(ann(hooks=Hooks()), question)
        following = await DurableRunner.run(result.last_agent, result.to_input_list())
        return following.last_agent.name

    assert await Asking(do).comes_to() == "Ann"
    assert ended == ["Ann", "Ann"]


async def test_an_approval_is_waited_for_in_the_handler(model: ScriptedModel, wait_until: Any) -> None:
    paid: list[int] = []

    def pay(amount: int) -> str:
        paid.append(amount)
        return f"paid {amount}"

    async def do(question: str) -> str:
        agent = ann(tools=[function_tool(pay, needs_approval=True)])
        result = await DurableRunner.run(agent, question)
        while result.interruptions:
            state = result.to_state()
            for item in result.interruptions:
                id, approved = perdure.current_context().awakeable(type_hint=bool)
                await perdure.current_context().run_typed("tell", lambda id=id: ids.append(id))
                if await approved:
                    state.approve(item)
                else:
                    state.reject(item)
            result = await DurableRunner.run(agent, state)
        return result.final_output

    ids: list[str] = []
    model.script = calling(("pay", {"amount": 5}))
    for approved, outcome in ((True, "paid 5"), (False, "Tool execution was not approved.")):
        ids.clear()
        tested = Asking(do)
        async with Harness(tested.service, always_replay=True) as h:
            sent = await h.send(tested.ask, "?")
            await wait_until(lambda: ids, "a person is asked")
            await h.resolve_awakeable(ids[0], approved)
            assert await h.attach(tested.ask, sent) == outcome
    assert paid == [5]


async def test_traces_of_all_attempts_have_one_id(model: ScriptedModel) -> None:
    class Traced(TracingProcessor):
        def on_trace_start(self, trace: Any) -> None:
            ids.append(trace.trace_id)

        on_trace_end = on_span_start = on_span_end = shutdown = force_flush = lambda *ignored: None  # type: ignore[assignment]

    ids: list[str] = []
    set_trace_processors([Traced()])
    set_tracing_disabled(False)
    try:
        await asking(ann()).comes_to(always_replay=True)
    finally:
        set_tracing_disabled(True)
        set_trace_processors([])
    assert len(ids) > 1
    assert len(set(ids)) == 1


async def test_the_key_of_the_providers_cache_is_the_same_on_each_attempt() -> None:
    class Caching(InProcess):
        def _supports_default_prompt_cache_key(self) -> bool:
            return True

        async def get_response(self, *args: Any, **more: Any) -> Any:
            keys.append(args[2].extra_args["prompt_cache_key"])
            return await super().get_response(*args, **more)

    keys: list[str] = []
    answers = [[function_call("look_up", {}, call_id="1")], [assistant_message("found")]]
    agent = ann(model=Caching(answers), tools=[function_tool(lambda: "it", name_override="look_up")])
    assert await asking(agent).comes_to(always_replay=True) == "found"
    first, second = keys
    assert first == second


async def test_a_run_state_that_was_read_from_json_is_refused(model: ScriptedModel) -> None:
    agent = ann(tools=[function_tool(lambda: "paid", name_override="pay", needs_approval=True)])

    async def do(question: str) -> Any:
        result = await DurableRunner.run(agent, question)
        state = await RunState.from_json(agent, result.to_state().to_json())
        return await DurableRunner.run(agent, state)

    model.script = calling(("pay", {}))
    with pytest.raises(AssertionError, match="was read from JSON"):
        await Asking(do).comes_to()


async def test_a_stream_within_a_durable_run_is_refused(model: ScriptedModel) -> None:
    async def ask(question: str) -> str:
        return str(Runner.run_streamed(billing(), question))

    model.script = calling(("ask", {"question": "?"}))
    with pytest.raises(AssertionError, match="cannot stream in a durable run"):
        await asking(ann(tools=[durable_function_tool(ask)])).comes_to()
