"""`crash_at_every_step`: what holds passes, what depends on chance or acts outside of a run is found and named."""

import asyncio
import gc
import random
from datetime import timedelta

import pytest

import perdure
from perdure.testing import Harness

CHANCE = random.Random()

shop = perdure.Service("Shop")
stock = perdure.VirtualObject("Stock")
flow = perdure.Workflow("Flow")


class Outside:
    """The world outside, as handlers reach it."""

    @staticmethod
    def charge(amount: int) -> str:
        return f"charged {amount}"


@stock.handler()
async def take(ctx: perdure.ObjectContext, amount: int) -> int:
    left = (await ctx.get("left", type_hint=int) or 0) - amount
    ctx.set("left", left)
    return left


@shop.handler()
async def ship(ctx: perdure.Context, order: str) -> str: ...


@shop.handler()
async def buy(ctx: perdure.Context, amount: int) -> dict[str, object]:
    charged = await ctx.run_typed("charge", lambda: Outside.charge(amount))
    left = await ctx.object_call(take, "tea", amount)
    await ctx.sleep(timedelta(days=3))
    ctx.service_send(ship, f"{amount} of tea")
    return {"charged": charged, "left": left, "nonce": str(ctx.uuid())}


@shop.handler()
async def careless(ctx: perdure.Context, amount: int) -> str:
    await ctx.run_typed("look", lambda: "there")
    said = Outside.charge(amount)
    await ctx.sleep(timedelta(seconds=1))
    return said


@shop.handler()
async def moody(ctx: perdure.Context) -> str:
    if CHANCE.random() < 0.5:
        await ctx.run_typed("smile", lambda: "smiled")
    else:
        await ctx.sleep(timedelta(seconds=1))
    await ctx.run_typed("end", lambda: "ended")
    return "done"


@shop.handler()
async def drifting(ctx: perdure.Context) -> float:
    await ctx.run_typed("a", lambda: 1)
    value = CHANCE.random()
    await ctx.run_typed("b", lambda: 2)
    return value


@shop.handler()
def patient(ctx: perdure.Context, days: int) -> str:
    ctx.sleep(timedelta(days=days)).result()
    return ctx.service_call(moody, None).result() + ctx.signal("go", type_hint=str).result()


@flow.main()
async def run(ctx: perdure.WorkflowContext) -> str:
    await ctx.run_typed("begin", lambda: "begun")
    said = await ctx.promise("go", type_hint=str).value()
    await ctx.run_typed("after", lambda: "went")
    return said


SERVICES = [shop, stock, flow]


async def test_a_handler_that_records_what_it_does_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Harness(SERVICES) as h:
        shipped = h.fake(ship)
        monkeypatch.setattr(Outside, "charge", h.spy(Outside.charge))

        async def fill(each: Harness) -> None:
            await each.call(take, -10, key="tea")

        await h.crash_at_every_step(buy, 3, before=fill)
        assert shipped.arguments == ["3 of tea"]


async def test_an_effect_outside_of_a_run_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Harness(SERVICES) as h:
        monkeypatch.setattr(Outside, "charge", h.spy(Outside.charge))
        with pytest.raises(AssertionError, match="Shop/careless comes to something else") as caught:
            await h.crash_at_every_step(careless, 3)
        assert "what its spies saw: nothing without, charge[[3],{}]" in str(caught.value)


async def test_a_handler_that_takes_another_way_is_found() -> None:
    CHANCE.seed(3)
    async with Harness(SERVICES) as h:
        with pytest.raises(AssertionError, match="Shop/moody") as caught:
            await h.crash_at_every_step(moody)
        assert "journal entry 1" in str(caught.value)


async def test_a_result_that_drifts_is_found() -> None:
    async with Harness(SERVICES) as h:
        with pytest.raises(AssertionError, match=r"Shop/drifting .*\n  its outcome: [\d.e-]+ without, [\d.e-]+ with"):
            await h.crash_at_every_step(drifting)


async def test_somebody_outside_may_act_meanwhile() -> None:
    async def go(h: Harness) -> None:
        await h.resolve_promise("Flow", "7", "go", "went on")

    async with Harness(SERVICES) as h:
        await h.crash_at_every_step(run, key="7", meanwhile=go)


@pytest.mark.timeout(200)
async def test_a_plain_handler_that_waits_in_its_thread() -> None:
    async def go(h: Harness) -> None:
        [waiting] = h.invocations(patient)
        await h.resolve_signal(waiting.id, "go", "gone")

    async with Harness(SERVICES) as h:
        h.fake(moody, "calm, and ")
        await h.crash_at_every_step(patient, 30, meanwhile=go)


@pytest.mark.timeout(200)
async def test_two_harnesses_in_one_loop_know_of_each_others_threads() -> None:
    async with Harness(SERVICES) as h, Harness(SERVICES) as other:
        h.fake(moody, "calm, and ")
        sent = await h.send(patient, 30)
        await other.advance(timedelta(days=31))
        await h.resolve_signal(sent.invocation_id, "go", "gone")
        assert await h.attach(patient, sent.invocation_id) == "calm, and gone"


async def test_a_crash_where_one_likes() -> None:
    async with Harness(SERVICES) as h:
        h.fake(ship)
        sent = await h.send(buy, 1, idempotency_key="one")
        point = h.crash_at(sent.invocation_id, 2, before=True)
        assert (await h.attach(buy, sent.invocation_id))["left"] == -1
        assert point.reached
        assert len(h.invocations(take)) == 1


@pytest.mark.parametrize("index", [2, 3, 4])
async def test_a_crash_that_would_come_when_the_harness_is_left_leaves_no_engine_behind(index: int) -> None:
    naps = perdure.Service("Naps")

    @naps.handler()
    async def nap(ctx: perdure.Context) -> None:
        await ctx.run_typed("lie down", lambda: None)
        await ctx.run_typed("sleep", asyncio.sleep, perdure.RunOptions(), 3)

    for before in (True, False):
        async with Harness(naps) as h:
            h.crash_at(await h.send(nap), index, before=before)
            await h.settle()  # the last entry by then is committed when the harness is left
    await asyncio.sleep(0.05)
    gc.collect()  # the lock of a store that is still open would be an unraisable warning
