"""What `perdure import` does about errors of writes, and what `perdure export` leaves alone."""

from pathlib import Path
from typing import Any

import pytest

from perdure.cli import remote
from perdure.cli.moving import exporting, importing
from perdure.cli.moving.state_file import ObjectName, State, encode
from perdure.cli.remote import AskAgain, Remote, RequestRefused
from perdure.errors import UsageError

ANN = ObjectName("Cart", "ann")
WANTED: State = {"item": b"1"}


class Engine:
    """Answers as the errors say, one after the other, then well. `does` are writes that are done for all that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: Exception, does: bool = False) -> None:
        self.errors = list(errors)
        self.does = does
        self.state: dict[ObjectName, State] = {}
        self.writes = 0
        monkeypatch.setattr(Remote, "ask", lambda door, method, *_: self.ask(method))  # pyright: ignore
        monkeypatch.setattr(importing, "states_like", lambda *_: dict(self.state))  # pyright: ignore

    def ask(self, method: str) -> bytes:
        self.writes += method == "POST"
        if method == "POST" and self.state:
            raise RequestRefused("the state is not version 1 any more")
        if self.errors and (error := self.errors.pop(0)):
            if self.does and method == "POST":
                self.state[ANN] = WANTED
            raise error
        if method == "POST":
            self.state[ANN] = WANTED
        return b""


def imported(tmp_path: Path) -> int:
    (tmp_path / "file").write_bytes(encode(ANN, WANTED))
    try:
        importing.import_(str(tmp_path / "file"))
    except importing.typer.Exit as ended:
        return ended.exit_code
    return 0


READ: Any = None  # the first request asks for the service, and is well answered


@pytest.mark.parametrize(
    ("answers", "does", "writes"),
    [([AskAgain("busy")], False, 1), ([READ, AskAgain("busy")], False, 2), ([READ, AskAgain("moved")], True, 2)],
)
def test_errors_that_pass_are_asked_again(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answers: list[Any],
    does: bool,
    writes: int,
) -> None:
    engine = Engine(monkeypatch, *answers, does=does)
    assert (imported(tmp_path), capsys.readouterr().out, engine.writes) == (0, "1 imported\n", writes)


@pytest.mark.parametrize("answers", [[AskAgain("busy")] * 3, [READ, *[AskAgain("busy")] * 3]])
def test_errors_that_do_not_pass_are_no_refusals(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: list[Any]
) -> None:
    monkeypatch.setattr(remote, "PASSES_WITHIN_S", 0)
    Engine(monkeypatch, *answers)
    assert imported(tmp_path) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("1 not taken for now: the same command again tries it\n", "Cart/ann: busy\n")


def test_refusals_are_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(monkeypatch, READ, RequestRefused("too large"))
    assert (imported(tmp_path), engine.writes) == (1, 1)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("1 refused by the engine\n", "Cart/ann: too large\n")


def test_an_export_touches_no_file_but_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exporting, "services_with_state", lambda: [])
    (tmp_path / "state.part").write_text("somebody's")
    exporting.export(str(tmp_path / "state"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"state": "", "state.part": "somebody's"}


def test_an_import_of_a_service_that_the_file_does_not_have_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="holds no object of Typo"):
        importing.import_(str(file), service=["Typo"])
