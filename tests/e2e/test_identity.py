"""Keys for request identity at the command line: made once, shown, used, and refused in one sentence."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.commands import Command, Run, Start

SERVICES = """
import perdure

greeter = perdure.Service("Greeter")


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"
"""


@pytest.fixture(autouse=True)
def services(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SERVICES)


def test_a_key_is_made_once_and_shown(run: Run, tmp_path: Path) -> None:
    made = run("identity", "new", "key.pem")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("publickeyv1_")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert run("identity", "show", "key.pem").stdout == made.stdout
    again = run("identity", "new", "key.pem")
    assert again.returncode == 2
    assert again.stderr.startswith("perdure: key.pem exists, and is not overwritten")
    assert run("identity", "show", "key.pem").stdout == made.stdout


@pytest.mark.parametrize("option", [("--request-identity-key", "key.pem"), ()])
def test_engine_and_service_say_whom_they_are_and_trust_and_understand_each_other(
    up: Callable[..., Command], start: Start, run: Run, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    keys = [run("identity", "new", file).stdout.strip() for file in ("key.pem", "other.pem")]
    if not option:
        monkeypatch.setenv("PERDURE_REQUEST_IDENTITY_KEY", "key.pem")
    service = start("serve", "app:greeter", "--port", "0", "--identity-key", keys[1], "--identity-key", keys[0]).ready()
    engine = up(*option)
    assert (engine.banner["identity"], service.banner["trusts"]) == (keys[0], keys[0])
    registered = run("deployments", "register", service.banner["endpoint"], "--yes", engine=engine)
    assert registered.returncode == 0, registered.stderr
    assert run("invoke", "Greeter/greet", "--json", '"Ada"', engine=engine).stdout == '"hello Ada"\n'


def test_an_engine_without_the_key_is_told_what_to_do(up: Callable[..., Command], start: Start, run: Run) -> None:
    key = run("identity", "new", "key.pem").stdout.strip()
    service = start("serve", "app:greeter", "--port", "0", "--identity-key", key).ready()
    engine = up()
    assert "identity" not in engine.banner
    refused = run("deployments", "register", service.banner["endpoint"], "--yes", engine=engine)
    assert refused.returncode == 1
    assert "answered 401" in refused.stderr
    assert "start this engine with `--request-identity-key`" in refused.stderr


OPEN = "can run these handlers, past any engine: `--identity-key`"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_services_that_others_reach_say_that_they_are_open(start: Start, run: Run, host: str) -> None:
    key = run("identity", "new", "key.pem").stdout.strip()
    serve = ("serve", "app:greeter", "--port", "0", "--host", host)
    opened, closed = start(*serve).ready(), start(*serve, "--identity-key", key).ready()
    for command in (opened, closed):
        assert command.stop() == 0
    assert opened.logged(OPEN)
    assert opened.logged("WARNING")
    assert not closed.logged(OPEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_services_that_only_this_machine_reaches_do_not(start: Start, host: str) -> None:
    command = start("serve", "app:greeter", "--port", "0", "--host", host).ready()
    assert command.stop() == 0
    assert not command.logged(OPEN)


def test_an_empty_variable_does_not_open_the_door(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_IDENTITY_KEYS", "")
    done = run("serve", "app:greeter", "--port", "0")
    assert done.returncode != 0
    assert "PERDURE_IDENTITY_KEYS is set, and names no key: unset it to serve everybody" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--request-identity-key", "missing.pem"), "`perdure identity new missing.pem` makes one"),
        (("up", "--request-identity-key", "app.py"), "holds no private key"),
        (("up", "--request-identity-key", "."), "cannot be read: is a directory"),
        (("serve", "app:greeter", "--identity-key", "secret"), "'secret' is no identity key"),
        (("identity", "show", "missing.pem"), "there is no key file missing.pem"),
        (("identity", "new", "no/where.pem"), "no/where.pem cannot be written"),
    ],
)
def test_a_bad_key_is_exit_2_and_one_sentence(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".perdure").exists()
