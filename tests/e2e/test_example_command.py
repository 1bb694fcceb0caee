"""An example as `perdure example` copies it: started and asked with the very lines that it prints."""

import re
import shlex
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.e2e.commands import Command, Run


def reviewed(request: ChatRequest) -> Reply:
    if request.results:
        return Reply(f"It was {request.results['human_review']}.")
    return Reply.calling(("human_review", {"customer": "Ada", "amount": 900}))


def test_a_copied_example_runs_by_the_lines_that_are_printed(
    up: Callable[..., Command], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("example", "approval", "--to", ".").stdout
    started = re.search(r"^  perdure up (.+)$", said, re.MULTILINE)
    asked = re.search(r"^  (curl .*/Claims/decide .*)$", said, re.MULTILINE)
    assert started
    assert asked
    with ScriptedModel(reviewed) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        engine = up(*started[1].split())
        answers: list[str] = []

        def ask() -> None:
            answers.append(typed(asked[1], engine))

        asking = threading.Thread(target=ask)
        asking.start()
        # The reviewers are told on the engine's own terminal.
        assert engine.process.stdout is not None
        told = next(line for line in engine.process.stdout if line.startswith("curl"))
        typed(told, engine)
        asking.join(60)
    assert answers == ['"It was approved."']
    assert (tmp_path / "approval" / "README.md").is_file()


def typed(line: str, engine: Command) -> str:
    """What a curl line prints, against this engine."""
    words = shlex.split(line.replace("localhost:8080", engine.banner["ingress"].removeprefix("http://")))
    done = subprocess.run([*words, "-sS", "--fail-with-body"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
