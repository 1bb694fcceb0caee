"""State goes from engine to engine, ours and the official one, through a file, and is the same there."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from perdure.cli.moving import state_tables
from perdure.cli.moving.state_file import ObjectName, State, encode
from tests.conformance.conftest import Ingress
from tests.conformance.processes import EngineAddress, our_endpoint, our_engine, reference_engine, register
from tests.conformance.waiting import eventually
from tests.e2e.commands import PERDURE, TIMEOUT_S

KEYS = [
    "",
    " ",
    "a/b?c=%20",
    "quote'\"\\",
    "--; drop table state",
    "nul\0x",
    "\n\r\t",
    "\u2028\ufeff",
    "é" * 1000,
    "k" * 140_000,
]
HOSTILE: dict[ObjectName, State] = {
    ObjectName("Ledger", key): {key[:50]: b"x\0", "binary": b"\xff\0", "empty": b"", "": b'"\\u00e9"'} for key in KEYS
}
LARGE: dict[ObjectName, State] = {
    ObjectName("Ledger", "a long talk"): {"messages": b'"' + b"x" * 1_500_000 + b'"'},
    ObjectName("Ledger", "a picture"): {"png": bytes(range(256)) * 1000},
    ObjectName("Ledger", "many"): {f"entry {n}": b"1" for n in range(2000)},
}
OTHERS: dict[ObjectName, State] = {
    ObjectName("Ledger", "twice"): {"total": b"1"},
    ObjectName("Ledger", "twice", "eu"): {"total": b"2"},
    ObjectName("Approval", "a workflow"): {"decision": b'"yes"'},
}


class Perdure(Protocol):
    def __call__(
        self, engine: EngineAddress, *arguments: str | Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]: ...


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with our_endpoint(tmp_path_factory.mktemp("endpoint")) as url:
        yield url


@pytest.fixture(scope="module", params=[our_engine, reference_engine])
def engine(
    request: pytest.FixtureRequest, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineAddress]:
    with request.param(tmp_path_factory.mktemp("engine")) as engine:
        register(engine, endpoint)
        yield engine


@pytest.fixture(scope="module")
def ours(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineAddress]:
    with our_engine(tmp_path_factory.mktemp("ours")) as engine:
        register(engine, endpoint)
        yield engine


@pytest.fixture
def perdure(tmp_path: Path) -> Perdure:
    def perdure(
        engine: EngineAddress, *arguments: str | Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "PERDURE_ADMIN_URL": engine.admin_url}
        return subprocess.run(
            [PERDURE, *arguments],
            cwd=tmp_path,
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_S * 2,
        )

    return perdure


def lines(objects: dict[ObjectName, State]) -> bytes:
    return b"".join(encode(name, state) for name, state in sorted(objects.items()))


def test_state_comes_out_of_an_engine_as_it_went_in(engine: EngineAddress, perdure: Perdure) -> None:
    """Ours and the official one: so what one gives, the other takes."""
    objects = HOSTILE | LARGE | OTHERS
    came = perdure(engine, "import", "-", stdin=lines(objects))
    assert (came.returncode, came.stdout) == (0, b"%d imported\n" % len(objects)), came.stderr
    exported = perdure(engine, "export", "-", "--service", "Ledger", "--service", "Approval").stdout
    assert sorted(exported.splitlines()) == sorted(lines(objects).splitlines())
    again = perdure(engine, "import", "-", stdin=exported)
    assert (again.returncode, again.stdout) == (0, b"%d there already\n" % len(objects))


def test_an_object_with_another_state_is_left_as_it_is_unless_forced(engine: EngineAddress, perdure: Perdure) -> None:
    ann, bob = ObjectName("Mailbox", "ann"), ObjectName("Mailbox", "bob")
    perdure(engine, "import", "-", stdin=lines({ann: {"v": b"1"}}))
    newer = lines({ann: {"v": b"2"}, bob: {"v": b"2"}})
    left = b"left as they are, with another state: --force replaces it\n"
    planned = perdure(engine, "import", "-", "--dry-run", stdin=newer)
    assert (planned.returncode, planned.stdout) == (1, b"1 would be imported\n1 " + left)
    done = perdure(engine, "import", "-", stdin=newer)
    assert (done.returncode, done.stdout) == (1, b"1 imported\n1 " + left)
    assert done.stderr.startswith(b"Mailbox/ann: left as they are")
    assert perdure(engine, "export", "-", "--service", "Mailbox").stdout == lines({ann: {"v": b"1"}, bob: {"v": b"2"}})
    forced = perdure(engine, "import", "-", "--force", stdin=newer)
    assert (forced.returncode, forced.stdout) == (0, b"1 imported\n1 there already\n")
    assert perdure(engine, "export", "-", "--service", "Mailbox").stdout == newer


def test_only_some_services_are_taken(ours: EngineAddress, perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "all").write_bytes(lines(OTHERS))
    assert perdure(ours, "import", "all", "--service", "Approval").stdout == b"1 imported\n"
    assert perdure(ours, "import", "all").stdout == b"2 imported\n1 there already\n"
    some = perdure(ours, "export", "some", "--service", "Approval")
    assert (some.returncode, some.stderr) == (0, b"exported 1 objects with 1 values of Approval\n")
    assert (tmp_path / "some").read_bytes().count(b"\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "some"]


def test_what_cannot_be_done_is_said(ours: EngineAddress, perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    for arguments, stdin, code, said in [
        (("export", "there"), b"", 2, "there is there already: --force replaces it"),
        (("export", "no/folder/file"), b"", 2, "cannot write no/folder/file: no such file or directory"),
        (("export", "new", "--service", "Leger"), b"", 1, "Did you mean service Ledger?"),
        (("import", "nowhere"), b"", 2, "cannot read nowhere: no such file or directory"),
        (("import", "-"), b'{"service":"Ledger","key', 2, "line 1 is no object that `perdure export` wrote"),
        (
            ("import", "-"),
            lines({ObjectName("Leger", "a"): {"x": b"1"}}),
            1,
            "Leger/a: no service Leger in any deployment",
        ),
        (("import", "-"), lines({ObjectName("Plain", "a"): {"x": b"1"}}), 1, "Plain/a: Plain is a plain service"),
    ]:
        ended = perdure(ours, *arguments, stdin=stdin)
        assert (ended.returncode, said in ended.stderr.decode()) == (code, True), ended.stderr
        assert not (tmp_path / "new").exists()


def test_what_has_not_ended_is_said_and_what_has_to_wait_too(
    ours: EngineAddress, perdure: Perdure, tmp_path: Path
) -> None:
    with Ingress(ours) as client:
        holder = client.send("/Ledger/held/holds/send", 60_000)
        eventually(lambda: True if client.status(holder) in ("running", "suspended") else None, "it runs")
        perdure(ours, "import", "-", stdin=lines({ObjectName("Ledger", "free"): {"total": b"1"}}))
        assert (
            b"warning: invocations of Ledger go on (1 of them)"
            in perdure(ours, "export", "-", "--service", "Ledger").stderr
        )
        late = perdure(ours, "import", "-", stdin=lines({ObjectName("Ledger", "held"): {"total": b"1"}}))
        assert (late.returncode, late.stdout.startswith(b"1 not there yet: a handler has the key")) == (1, True)
        client.cancel(holder)
        eventually(lambda: client.call("/Ledger/held/total"), "it came")


def test_any_number_of_objects_is_read_in_parts(
    ours: EngineAddress, perdure: Perdure, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {ObjectName("Mailbox", f"key {n:02}"): {"v": b"x" * (n % 7), "w": b"1"} for n in range(30)}
    objects[ObjectName("Mailbox", "key 07", "eu")] = {"v": b"scoped"}
    assert perdure(ours, "import", "-", stdin=lines(objects)).returncode == 0
    monkeypatch.setenv("PERDURE_ADMIN_URL", ours.admin_url)
    monkeypatch.setattr(state_tables, "KEYS_AT_ONCE", 7)
    monkeypatch.setattr(state_tables, "BYTES_AT_ONCE", 10)
    assert list(state_tables.objects_of("Mailbox")) == sorted(objects.items())
