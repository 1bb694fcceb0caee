"""What is taken away for good is shown and asked for first; nothing is done when a person says no."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from perdure.cli import deployments, rules, schedules
from perdure.cli.remote import Remote
from perdure.errors import UsageError

DEPLOYMENT = {"uri": "http://a:9080/", "status": "draining", "services": [{"name": "Greeter", "revision": 3}]}
SCHEDULE = {
    "target": {"service": "Greeter", "handler": "greet"},
    "every": "1h",
    "paused": True,
    "next_at": None,
}
ANSWERS = {
    "/deployments/dp_1": DEPLOYMENT,
    "/deployments/dp_1/drain?limit=0": {"left": 7},
    "/schedules/daily": SCHEDULE,
    "/limits/rules": {"rules": [{"pattern": "openai", "limits": {"concurrency": 3}}]},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    asked: list[tuple[str, str]] = []

    def answer(_: Remote, method: str, path: str, body: Any = None) -> Any:
        asked.append((method, path))
        return ANSWERS[path]

    monkeypatch.setattr(Remote, "ask_json", answer)
    return asked


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (lambda: deployments.remove("dp_1", force=True), ["dp_1  http://a:9080/  draining, 7 left on it", "Greeter"]),
        (lambda: schedules.delete("daily"), ["daily: Greeter/greet, every 1h, paused"]),
        (lambda: rules.delete(["openai"]), ["openai: concurrency 3"]),
    ],
)
def test_a_person_sees_what_goes_and_may_say_no(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: list[tuple[str, str]],
    command: Callable[[], None],
    shown: list[str],
) -> None:
    with pytest.raises(UsageError, match="add --yes"):
        command()
    assert asked == []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 1
    said = capsys.readouterr().out
    assert all(each in said for each in shown), said
    assert {method for method, _ in asked} == {"GET"}


def test_a_promotion_that_is_none_is_not_said_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promoted: list[str] = []

    def answer(_: Remote, method: str, path: str, body: Any = None) -> Any:
        if method == "PATCH":
            promoted.append("Greeter")
        elif method == "DELETE":
            promoted.clear()
        return {"serves": ["Greeter"], "promoted": promoted}

    monkeypatch.setattr(Remote, "ask_json", answer)
    for undo in (True, False, True):
        deployments.promote("dp_1", undo=undo)
    assert capsys.readouterr().out.splitlines() == [
        "dp_1 is not promoted: it takes the new invocations of Greeter",
        "dp_1 takes the new invocations of Greeter, until --undo or another is promoted",
        "dp_1 is promoted no more: it takes the new invocations of Greeter",
    ]
