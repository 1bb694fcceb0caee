"""The embedded model itself: what it is relied on for, and that it does not get worse unnoticed."""

import re
import subprocess
import sys

import pytest
from openai import OpenAI

from perdure.demo.hit_rate import measure
from perdure.demo.questions import SAMPLES
from perdure.demo.stage import examples_folder
from perdure.llm import llm_call
from perdure.llm.client import model_endpoint

pytest.importorskip("xllamacpp", reason="the extra local-llm is not installed")

HITS_MIN = 20  # of 30; it has 24: other processors round otherwise, which may turn a narrow decision


@pytest.fixture(autouse=True)
def no_other_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


async def test_the_sample_questions_reach_the_right_specialists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(examples_folder()))
    from support_desk import TOOLS

    picked = {}
    for question, _ in SAMPLES:
        reply = await llm_call(question, TOOLS)
        assert reply.tool_calls is not None
        picked[question] = reply.tool_calls[0].function.name
    assert picked == dict(SAMPLES)


async def test_without_tools_it_says_something_in_whole_sentences() -> None:
    reply = await llm_call([{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "Hello!"}])
    assert reply.tool_calls is None
    assert reply.content is not None
    assert reply.content.endswith((".", "!", "?"))


def test_programs_in_any_language_are_served_as_it_says() -> None:
    command = [sys.executable, "-m", "perdure.llm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        said = re.fullmatch(r"export OPENAI_BASE_URL=(\S+) OPENAI_API_KEY=(\S+)\n", serving.stdout.readline())
        try:
            assert said is not None
            tool = {"type": "function", "name": "refund", "parameters": {"properties": {"amount": {}}}}
            with OpenAI(base_url=said[1], api_key=said[2]) as client:
                answer = client.responses.create(model="any", input='{"amount": 3}', tools=[tool])  # type: ignore[list-item]
        finally:
            serving.terminate()
    [called] = answer.output
    assert called.type == "function_call"
    assert (called.name, called.arguments) == ("refund", '{"amount": 3}')


async def test_most_of_the_questions_that_it_never_saw_are_routed_right() -> None:
    hits, misses = await measure(await model_endpoint())
    assert hits + len(misses) == 30
    assert hits >= HITS_MIN
