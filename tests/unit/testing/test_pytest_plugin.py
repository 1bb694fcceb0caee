"""The fixture for users' tests: the environment names the model, and each test has it as new."""

import openai
import pytest

from perdure.testing.model import Fault, Reply, ScriptedModel

pytest_plugins = ["perdure.testing.pytest_plugin"]


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_model_that_nobody_has_asked(scripted_model: ScriptedModel, turn: int) -> None:
    assert scripted_model.log.calls == []
    with openai.OpenAI(max_retries=0) as client:
        assert client.responses.create(model="any", input="hello").output_text == "You asked: hello"
    scripted_model.script = lambda request: Reply("something else")
    scripted_model.aim(Fault(status=500))
