"""The examples, each as its README starts it, with a scripted model; the curl lines of the READMEs as they stand."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure.demo.stage import Actor, Stage, examples_folder
from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall
from perdure.testing.model import Fault, ScriptedModel

QUESTION = "I was charged twice for my subscription last month"
HARMLESS = {"eligible", "low_risk"}


def sensible(request: ChatRequest) -> Reply:
    """Picks every agent that was not heard yet, calls claims harmless, repeats questions."""
    heard = {call["function"]["name"] for message in request.messages for call in message.get("tool_calls") or ()}
    offered = [tool.function.name for tool in request.tools or () if tool.function.name not in heard]
    picked = [name for name in offered if name in HARMLESS] or offered
    if len(offered) == 3:
        picked = offered[:1]  # the support desk: one specialist answers
    if picked:
        return Reply(tool_calls=[ToolCall(f"call_{name}", Function(name)) for name in picked])
    return Reply(content=f"You asked: {request.question}")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(sensible) as model:
        yield model


@pytest.fixture
def play(tmp_path: Path, model: ScriptedModel) -> Iterator[Callable[[str], Actor]]:
    """Starts what a README says, on free ports; gives the engine."""
    with Stage(tmp_path, model.base_url) as stage:

        def play(example: str) -> Actor:
            commands = re.findall(r"^perdure (up|serve)(.*)$", readme(example), re.MULTILINE)
            engine = stage.up(0, 0, *next(words.split() for verb, words in commands if verb == "up"))
            for verb, words in commands:
                if verb == "serve":
                    modules = words.split(" --port")[0].split()
                    stage.register(engine, stage.serve(*modules))
            return engine

        yield play


def readme(example: str) -> str:
    return (examples_folder() / example / "README.md").read_text()


def curl(line: str, engine: Actor) -> tuple[int, object]:
    """Runs a documented curl line against this engine; gives status and body."""
    words = shlex.split(line.replace("\\\n", " ").replace("localhost:8080", engine.addresses["ingress"]))
    done = subprocess.run(
        [*words, "-sS", "-w", "\n%{http_code}"], capture_output=True, text=True, check=True, timeout=60
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def documented_call(example: str) -> str:
    match = re.search(r"^curl .*?'\{.*?\}'$", readme(example), re.MULTILINE | re.DOTALL)
    assert match is not None
    return match.group()


def test_a_remote_specialist_answers_what_the_router_was_asked(
    play: Callable[[str], Actor], model: ScriptedModel
) -> None:
    engine = play("remote_agents")
    assert curl(documented_call("remote_agents"), engine) == (200, f"You asked: {QUESTION}")
    assert sorted(model.log.count_by_key().values()) == [1, 1]


def test_local_agents_answer_in_one_process(play: Callable[[str], Actor], model: ScriptedModel) -> None:
    engine = play("local_agents")
    assert curl(documented_call("local_agents"), engine) == (200, f"You asked: {QUESTION}")
    assert sorted(model.log.count_by_key().values()) == [1, 1]


def test_a_model_that_stumbles_is_asked_again(play: Callable[[str], Actor], model: ScriptedModel) -> None:
    engine = play("local_agents")
    model.faults.extend([Fault(status=429), Fault(cut=True)])
    assert curl(documented_call("local_agents"), engine) == (200, f"You asked: {QUESTION}")
    assert sorted(model.log.count_by_key().values()) == [1, 3]


def test_a_model_that_stays_away_fails_the_call_after_three_attempts(
    play: Callable[[str], Actor], model: ScriptedModel
) -> None:
    engine = play("local_agents")
    model.usually = Fault(status=500)
    status, body = curl(documented_call("local_agents"), engine)
    assert status == 500
    assert "a planned fault" in str(body)
    assert list(model.log.count_by_key().values()) == [3]


def test_a_claim_is_approved_when_both_agents_agree(play: Callable[[str], Actor]) -> None:
    engine = play("claim_approval")
    documented = documented_call("claim_approval")
    answer = "approved: EligibilityAgent says eligible, FraudAgent says low_risk"
    assert curl(documented, engine) == (200, answer)
    assert curl(documented.replace("8080/", "8080/restate/call/"), engine) == (200, answer)


def test_a_session_in_the_path_is_answered_with_the_path_that_is_right(play: Callable[[str], Actor]) -> None:
    engine = play("claim_approval")
    line = documented_call("claim_approval").replace("Approval/run", "Approval/session123/run")
    status, body = curl(line, engine)
    assert status == 404
    assert "/MultiAgentClaimApproval/run" in str(body)
