"""`perdure demo`: that it keeps its promises, says so by its exit code, and leaves nothing behind."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perdure.demo.questions import HELD_OUT, SAMPLES
from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall
from perdure.testing.model import Fault, ScriptedModel
from tests.e2e.commands import PERDURE

RIGHT = dict(SAMPLES) | {question: name for name, questions in HELD_OUT.items() for question in questions}


def knows_all(request: ChatRequest) -> Reply:
    if request.tools:
        return Reply(tool_calls=[ToolCall("call_1", Function(RIGHT[request.question]))])
    return Reply(content=f"You asked: {request.question}")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(knows_all, usually=Fault(delay_s=0.1)) as model:
        yield model


@pytest.fixture
def environment(tmp_path: Path, model: ScriptedModel) -> dict[str, str]:
    return {**os.environ, "OPENAI_BASE_URL": model.base_url, "TMPDIR": str(tmp_path)}


@pytest.mark.timeout(600)
def test_it_plays_to_a_good_end_with_any_endpoint(
    tmp_path: Path, model: ScriptedModel, environment: dict[str, str]
) -> None:
    done = subprocess.run([PERDURE, "demo", "--once"], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    for question, specialist in SAMPLES:
        assert f"→ {specialist}  for: {question}" in done.stdout
        assert f"{specialist}: You asked: {question}" in done.stdout
    assert "kill -9" in done.stdout
    assert "✓ no model call whose result was recorded was made twice" in done.stdout
    assert "30 of 30 routed right" in done.stdout
    assert "✗" not in done.stdout
    assert not list(tmp_path.iterdir())
    assert len(model.log.count_by_key()) == 2 * len(SAMPLES)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_up_until_it_is_asked_to_end(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    with subprocess.Popen([PERDURE, "demo"], env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            assert any("try it, Ctrl-C ends it" in line for line in demo.stdout)
            children = psutil.Process(demo.pid).children(recursive=True)
            assert len(children) == 5
            demo.send_signal(number)
            assert demo.wait(300) == 0
        finally:
            demo.kill()
    assert not [child for child in children if child.is_running()]
    assert not list(tmp_path.iterdir())


def test_it_fails_where_there_is_no_model(environment: dict[str, str]) -> None:
    environment["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    done = subprocess.run([PERDURE, "demo", "--once"], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
