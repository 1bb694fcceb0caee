"""What is done to many invocations is asked for in as few requests as the engine takes."""

from typing import Any

import pytest
import typer

from perdure.cli.invocations import cancel, kill
from perdure.cli.remote import Remote
from perdure.errors import UsageError


def test_many_go_in_one_request_each_thousand_and_refusals_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str, list[str]]] = []

    def answer(_: Remote, method: str, path: str, body: Any) -> Any:
        ids: list[str] = body["invocation_ids"]
        asked.append((method, path, ids))
        failed = [{"invocation_id": id, "error": f"{id} has ended"} for id in ids if id == "inv_7"]
        return {"succeeded": [id for id in ids if id != "inv_7"], "failed": failed}

    monkeypatch.setattr(Remote, "ask_json", answer)
    ids = [f"inv_{number}" for number in range(1500)]
    with pytest.raises(typer.Exit) as ended:
        kill(ids)
    assert ended.value.exit_code == 1
    path = "/internal/invocations_batch_operations/kill"
    assert asked == [("POST", path, ids[:1000]), ("POST", path, ids[1000:])]
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"killed {id}" for id in ids if id != "inv_7"]
    assert said.err.splitlines() == ["perdure: inv_7 has ended", "perdure: 1 of 1500 refused"]


@pytest.mark.parametrize("then_kill", ["abc", "-1s", "0s"])
def test_a_grace_that_is_none_is_refused_before_anything_is_asked(then_kill: str) -> None:
    with pytest.raises(UsageError, match="--then-kill"):
        cancel(["inv_1", "inv_2"], then_kill=then_kill)


def test_who_is_cancelled_hears_when_it_will_be_killed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"inv_1": {"done": False}, "inv_2": {"done": True}}
    answer = {"succeeded": ["inv_1", "inv_2"], "failed": [], "cancelled": told}
    monkeypatch.setattr(Remote, "ask_json", lambda *_: answer)
    cancel(["inv_1", "inv_2"], then_kill="30s")
    assert capsys.readouterr().out.splitlines() == [
        "asked inv_1 to cancel, and kills it in 30s if it goes on",
        "cancelled inv_2",
    ]
