"""The example of three SDKs, each agent in the environment of its own: plain, and with each process killed."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from perdure.demo.stage import Actor, Stage
from perdure.testing.call_log import Call, Fate
from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel
from perdure.testing.recorded import check_integrity, read_steps
from tests.conformance.processes import ROOT, free_ports
from tests.e2e.test_examples import curl, documented_call

ENVIRONMENTS = Path(os.environ.get("PERDURE_EXT_ENVS", ROOT / ".cache/envs"))
AGENTS = {"coordinator": "openai", "eligibility_agent": "pydantic_ai", "fraud_agent": "adk"}
"""Each agent's module, and the environment that its SDK is in."""

CLAIM = {
    "date": "2024-10-01",
    "category": "orthopedic",
    "reason": "hospital bill for a broken leg",
    "amount": 3000,
    "placeOfService": "General Hospital",
}
DECISION = 'approved: {"eligible":true,"reason":"it is orthopedic: covered up to 5000 a year"} and "low risk"'
CALLERS = {
    "hear": "coordinator",
    "eligibility": "eligibility_agent",
    "eligible": "eligibility_agent",
    "fraud": "fraud_agent",
    "low risk": "fraud_agent",
    "decide": "coordinator",
}
"""What the model is asked for one claim, and by whom."""

CALLS = Counter(CALLERS.keys())

WAIT_S = 90.0

pytestmark = [
    pytest.mark.skipif(
        not all((ENVIRONMENTS / name).exists() for name in AGENTS.values()),
        reason=f"{ENVIRONMENTS} lacks an environment of {', '.join(AGENTS.values())}: PERDURE_EXT_ENVS says where",
    ),
    pytest.mark.timeout(900),
]


def which_call(request: ChatRequest) -> str:
    """Which of `CALLS` it is, by what the agents were told of themselves and by what they heard."""
    if "fraudulent" in request.instructions:
        return "low risk" if request.results else "fraud"
    if "eligible" in request.instructions:
        return "eligible" if request.results else "eligibility"
    return "decide" if request.results else "hear"


def adjuster(request: ChatRequest) -> Reply:
    """What the model says, whichever SDK asks."""
    match which_call(request):
        case "hear":
            return Reply.calling(*((name, {"claim": CLAIM}) for name in request.offered))
        case "eligibility":
            return Reply.calling(("covered", {"category": CLAIM["category"]}))
        case "eligible":
            return Reply.calling(("final_result", {"eligible": True, "reason": f"it is {request.results['covered']}"}))
        case "fraud":
            return Reply.calling(("earlier_claims", {"place_of_service": CLAIM["placeOfService"]}))
        case "low risk":
            assert "none of them doubtful" in request.results["earlier_claims"]
            return Reply("low risk")
        case _:
            return Reply("approved: " + " and ".join(request.results.values()))


class Processes:
    """The engine and the three agents; each comes back at the same address."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ports = dict(zip(["ingress", "admin", *AGENTS], free_ports(2 + len(AGENTS)), strict=True))
        self._running: dict[str, Actor] = {}
        self.database = stage.database
        for name in ("engine", *AGENTS):
            self.start(name)
        for name in AGENTS:
            stage.register(self.engine, self._running[name])

    @property
    def engine(self) -> Actor:
        return self._running["engine"]

    def start(self, name: str) -> None:
        if name == "engine":
            self._running[name] = self._stage.up(self._ports["ingress"], self._ports["admin"])
        else:
            python = ENVIRONMENTS / AGENTS[name] / "bin/python"
            module = f"three_sdks.{name}:app"
            self._running[name] = self._stage.serve(module, port=self._ports[name], python=python)

    def kill(self, name: str) -> None:
        self._running[name].kill()


@pytest.fixture(scope="module")
def served() -> Iterator[ScriptedModel]:
    with ScriptedModel(adjuster) as model:
        yield model


@pytest.fixture(scope="module")
def processes(served: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Stage(tmp_path_factory.mktemp("three_sdks"), served.base_url, served.environment) as stage:
        yield Processes(stage)


@pytest.fixture
def model(served: ScriptedModel) -> ScriptedModel:
    served.forget()
    return served


def test_agents_of_three_sdks_decide_on_a_claim(processes: Processes, model: ScriptedModel) -> None:
    assert curl(documented_call("three_sdks"), processes.engine) == (200, DECISION)
    assert asked(model) == CALLS
    check(processes, model)
    assert {(which_call(call.request), call.interface) for call in model.log.calls} >= {
        ("hear", "responses"),
        ("low risk", "gemini"),
    }


@pytest.mark.parametrize(
    ("killed", "call"),
    [
        ("engine", "hear"),
        ("engine", "eligible"),
        ("engine", "decide"),
        ("coordinator", "hear"),
        ("coordinator", "low risk"),
        ("eligibility_agent", "eligible"),
        ("fraud_agent", "low risk"),
    ],
)
def test_a_process_that_is_killed_while_the_model_thinks_changes_nothing(
    processes: Processes, model: ScriptedModel, killed: str, call: str
) -> None:
    kills(processes, model, [(killed, call)])


def test_each_process_is_killed_once_in_the_middle(processes: Processes, model: ScriptedModel) -> None:
    kills(
        processes,
        model,
        [
            ("eligibility_agent", "eligible"),
            ("fraud_agent", "low risk"),
            ("coordinator", "decide"),
            ("engine", "decide"),
        ],
    )


def kills(processes: Processes, model: ScriptedModel, plan: list[tuple[str, str]]) -> None:
    """One claim, during which each of these processes is killed while the model thinks about this call."""
    holds = [threading.Event() for _ in plan]
    for (_, call), hold in zip(plan, holds, strict=True):
        model.aim(Fault(until=hold), at=lambda request, call=call: which_call(request) == call, times=1)
    key = str(plan)
    post(processes, "/MultiAgentClaimApproval/run/send", key)
    thought: Counter[str] = Counter()
    for (killed, call), hold in zip(plan, holds, strict=True):
        thought[call] += 1
        model.log.wait_until(lambda _, call=call: asked(model)[call] >= thought[call], WAIT_S, f"nobody asks {call!r}")
        processes.kill(killed)
        processes.start(killed)
        hold.set()
    assert post(processes, "/MultiAgentClaimApproval/run", key) == DECISION
    lost = Counter(call for killed, call in plan if killed in ("engine", CALLERS[call]))
    again = asked(model) - CALLS
    assert again == lost or (again > lost and ("engine" in dict(plan))), "others' calls are lost with the engine only"
    check(processes, model)


def check(processes: Processes, model: ScriptedModel) -> None:
    """Of each question one answer is recorded, and once it was, it was not asked again."""
    assert check_integrity(processes.database) == "ok"
    recorded: list[str] = []
    known = recorded_calls(processes.database, model.log.calls)
    for call in model.log.calls:
        name = which_call(call.request)
        assert name not in recorded, f"{name!r} is asked again, though its answer is recorded"
        if call.number in known:
            recorded.append(name)
    assert Counter(recorded) == CALLS


def recorded_calls(database: Path, calls: list[Call]) -> set[int]:
    """The calls whose answers are in journals. ADK keeps no ids of answers, but says which step asks."""
    steps = [step for step in read_steps(database) if step.recorded and step.result]
    answered = [call for call in calls if call.fate is Fate.ANSWERED]
    last_by_key = {call.key: call.number for call in answered}
    by_id = {call.number for call in answered for step in steps if call.response_id.encode() in (step.result or b"")}
    return by_id | {last_by_key[step.key] for step in steps if step.key in last_by_key}


def asked(model: ScriptedModel) -> Counter[str]:
    """How often each call has reached the model."""
    return Counter(which_call(call.request) for call in model.log.calls)


def post(processes: Processes, path: str, key: str) -> Any:
    url = f"{processes.engine.addresses['ingress']}{path}"
    answer = httpx.post(url, json=CLAIM, headers={"idempotency-key": key}, timeout=WAIT_S, trust_env=False)
    assert answer.is_success, answer.text
    return answer.json()
