"""`kill -9` of the engine, a specialist, or both, at random moments under load: nothing is lost, nothing done twice."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perdure.demo.stage import Actor, Stage
from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall
from perdure.testing.model import Fault, ScriptedModel
from perdure.testing.recorded import check_integrity, read_steps
from tests.conformance.processes import free_ports
from tests.e2e.callers import Callers

KILLS = int(os.environ.get("PERDURE_TEST_KILLS", "50"))
SEED = int(os.environ.get("PERDURE_TEST_SEED", "") or random.SystemRandom().randrange(10**6))
IN_FLIGHT = 200
THINKING_S = 0.5  # so that most calls are in the middle of a step when a process dies
SPECIALISTS = ("billing_agent", "account_agent", "product_agent")


def specialist_by_number(request: ChatRequest) -> Reply:
    """Each question's number says who gets it; specialists repeat the question."""
    if request.tools:
        picked = request.tools[int(request.question.split()[-1]) % len(request.tools)]
        return Reply(tool_calls=[ToolCall("call_1", Function(picked.function.name))])
    return Reply(content=f"You asked: {request.question}")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(specialist_by_number, usually=Fault(delay_s=THINKING_S)) as model:
        yield model


class Theatre:
    """Engine, router and specialists; each comes back at the same address after it was killed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        names = ("ingress", "admin", "router", *SPECIALISTS)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.actors = {name: self._start(name) for name in ("engine", "router", *SPECIALISTS)}

    def kill(self, names: list[str]) -> None:
        for name in names:
            self.actors[name].kill()

    def start_again(self, names: list[str]) -> None:
        with ThreadPoolExecutor() as starting:
            self.actors |= dict(zip(names, starting.map(self._start, names), strict=True))

    def _start(self, name: str) -> Actor:
        if name == "engine":
            return self.stage.up(self.ports["ingress"], self.ports["admin"])
        return self.stage.serve(f"remote_agents.{name}:app", port=self.ports[name])

    def register(self) -> None:
        for name in ("router", *SPECIALISTS):
            self.stage.register(self.actors["engine"], self.actors[name])


@pytest.mark.timeout(2400)
async def test_nothing_is_lost_or_done_twice_whatever_is_killed(tmp_path: Path, model: ScriptedModel) -> None:
    print(f"PERDURE_TEST_SEED={SEED}")  # noqa: T201  shown when the test fails
    chance = random.Random(SEED)
    calls_when_recorded: Counter[str] = Counter()
    with Stage(tmp_path, model.base_url) as stage:
        theatre = Theatre(stage)
        theatre.register()
        callers = Callers(f"http://127.0.0.1:{theatre.ports['ingress']}", IN_FLIGHT)
        asking = asyncio.create_task(callers.keep_asking())
        for kill in range(KILLS):
            await asyncio.sleep(chance.uniform(0, 1))
            specialist = chance.choice(SPECIALISTS)
            victims = [["engine"], [specialist], ["engine", specialist]][kill % 3]
            theatre.kill(victims)
            recorded = [step.key for step in await asyncio.to_thread(read_steps, stage.database) if step.recorded]
            counts = model.log.count_by_key()  # after the store was read: a step asks before it is recorded
            for key in recorded:
                calls_when_recorded.setdefault(key, counts[key])
            await asyncio.to_thread(theatre.start_again, victims)
            assert not asking.done(), "callers gave up"
        callers.stopped = True
        await asking
        again = await callers.ask_all(callers.answers)

    steps = read_steps(stage.database)
    final = model.log.count_by_key()
    assert check_integrity(stage.database) == "ok"
    assert callers.asked_again > 0
    assert again == callers.answers
    assert {question: text for question, (_, text) in again.items()} == {each: f"You asked: {each}" for each in again}
    assert Counter(step.service for step in steps)["RemoteAgentRouter"] == len(again)
    assert len(steps) == 2 * len(again)
    assert not [step for step in steps if not step.recorded or final[step.key] == 0]
    assert calls_when_recorded, "nothing was recorded before a kill: there is nothing to compare"
    assert not {key: (then, final[key]) for key, then in calls_when_recorded.items() if final[key] != then}
