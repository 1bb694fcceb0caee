"""The polyglot example, with the Vercel AI SDK as npm has it: plain, and with each process killed."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from perdure.demo.stage import Actor, Stage, examples_folder
from perdure.llm.chat import ChatRequest, Function, Message, Reply, ToolCall
from perdure.testing.model import Fault, ScriptedModel
from perdure.testing.recorded import check_integrity, read_steps
from tests.conformance.pins import NPM
from tests.conformance.processes import NODE, ROOT, EngineAddress, free_ports, register, running
from tests.e2e.test_examples import curl, documented_call

MODULES = Path(os.environ.get("PERDURE_NPM_POLYGLOT", ROOT / ".cache/npm-polyglot")) / "node_modules"
EXAMPLE = examples_folder() / "polyglot"
CLAIM = {
    "date": "2024-10-01",
    "category": "orthopedic",
    "reason": "hospital bill for a broken leg",
    "amount": 3000,
    "placeOfService": "General Hospital",
}
DECISION = "approved: eligible, low risk"
CALLS = ["pick eligibility", "eligibility", "pick fraud", "fraud", "decide"]
THINKS = Fault()
THINKS_LONG = Fault(delay_s=10)  # until its caller is dead


def which_call(messages: list[Message]) -> str:
    """Which of `CALLS` it is, by what the agents tell the model of themselves and of what they heard."""
    told = messages[0]["content"]
    if "fraudulent" in told:
        return "fraud"
    if "eligible" in told:
        return "eligibility"
    return ("pick eligibility", "pick fraud", "decide")[len(heard(messages))]


def heard(messages: list[Message]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "tool"]


def adjuster(request: ChatRequest) -> Reply:
    """What the model says: hears one agent after the other, and approves."""
    call = which_call(request.messages)
    if call == "decide":
        return Reply(content=f"approved: {', '.join(heard(request.messages))}")
    if call in ("eligibility", "fraud"):
        assert json.loads(request.question) == CLAIM
        return Reply(content="eligible" if call == "eligibility" else "low risk")
    tool = "analyzeEligibility" if call == "pick eligibility" else "analyzeFraud"
    return Reply(tool_calls=[ToolCall(f"call_{tool}", Function(tool, request.question.removeprefix("Claim: ")))])


class Processes:
    """The engine, the agents in TypeScript, the one in Python; each comes back at the same address."""

    def __init__(self, stage: Stage, stack: ExitStack, model_url: str) -> None:
        self._stage = stage
        self._stack = stack
        self._ports = dict(zip(("ingress", "admin", "typescript", "python"), free_ports(4), strict=True))
        self._sources = shutil.copytree(
            EXAMPLE, stage.folder / "polyglot", ignore=shutil.ignore_patterns("node_modules")
        )
        (self._sources / "node_modules").symlink_to(MODULES)
        self._environment = {"OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "none"}
        self.start_engine()
        self.start_typescript()
        self.start_python()
        address = EngineAddress(self.engine.addresses["ingress"], self.engine.addresses["admin"])
        register(address, f"http://127.0.0.1:{self._ports['typescript']}")
        stage.register(self.engine, self.python)

    def start_engine(self) -> None:
        self.engine = self._stage.up(self._ports["ingress"], self._ports["admin"])

    def start_python(self) -> None:
        self.python: Actor = self._stage.serve("polyglot.fraud_agent:app", port=self._ports["python"])

    def start_typescript(self) -> None:
        port = self._ports["typescript"]
        [_, file] = json.loads((EXAMPLE / "package.json").read_text())["scripts"]["start"].split()
        log = self._stage.folder / "node.log"
        environment = {**self._environment, "PORT": str(port)}
        url = f"http://127.0.0.1:{port}/health"
        process = running([NODE, self._sources / file], url, log, environment, signal.SIGKILL, http_2=True)
        self._typescript = self._stack.enter_context(ExitStack())
        self._typescript.enter_context(process)

    def kill_typescript(self) -> None:
        self._typescript.close()


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(adjuster) as model:
        yield model


@pytest.fixture
def processes(tmp_path: Path, model: ScriptedModel) -> Iterator[Processes]:
    with Stage(tmp_path, model.base_url) as stage, ExitStack() as stack:
        yield Processes(stage, stack, model.base_url)


def asked(model: ScriptedModel) -> list[str]:
    """The calls that reached the model, in their order."""
    return [which_call(call.messages) for call in model.log.calls]


def test_a_router_in_typescript_hears_agents_in_two_languages(processes: Processes, model: ScriptedModel) -> None:
    assert curl(documented_call("polyglot"), processes.engine) == (200, DECISION)
    assert asked(model) == CALLS


def test_whichever_process_is_killed_the_claim_is_decided_and_nothing_recorded_is_asked_again(
    processes: Processes, model: ScriptedModel, tmp_path: Path
) -> None:
    model.faults.extend([THINKS, THINKS_LONG, THINKS, THINKS_LONG, THINKS, THINKS_LONG])
    begin(processes)

    model.log.wait_for(2)
    processes.engine.kill()
    processes.start_engine()
    model.log.wait_for(4)
    processes.kill_typescript()
    processes.start_typescript()
    model.log.wait_for(6)
    processes.python.kill()
    processes.start_python()

    assert ask(processes) == DECISION
    again = ["eligibility", "pick fraud", "fraud"]  # what was under way, and could not be recorded
    assert asked(model) == sorted([*CALLS, *again], key=CALLS.index)
    database = tmp_path / "store" / "perdure.db"
    assert check_integrity(database) == "ok"
    assert [step.recorded for step in read_steps(database)] == [True] * len(CALLS)


def test_the_example_has_the_sdk_that_the_conformance_suite_runs() -> None:
    pinned = json.loads((EXAMPLE / "package.json").read_text())["dependencies"]
    assert pinned["@restatedev/restate-sdk"] == NPM["@restatedev/restate-sdk"]


def begin(processes: Processes) -> None:
    answer = _post(processes, "/MultiAgentClaimApproval/run/send")
    assert answer.status_code == 202, answer.text


def ask(processes: Processes) -> Any:
    """The decision on the claim that `begin` sent."""
    answer = _post(processes, "/MultiAgentClaimApproval/run")
    assert answer.status_code == 200, answer.text
    return answer.json()


def _post(processes: Processes, path: str) -> httpx.Response:
    url = f"{processes.engine.addresses['ingress']}{path}"
    return httpx.post(url, json=CLAIM, headers={"idempotency-key": "claim-7"}, timeout=60.0, trust_env=False)
