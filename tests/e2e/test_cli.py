"""The commands as their users meet them: words, exit codes, banners, signals."""

import json
import resource
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import Command, Run, Start

SERVICES = """
import asyncio
import time
from pathlib import Path

import perdure

greeter = perdure.Service("Greeter")


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


@greeter.handler()
def plain(ctx: perdure.Context, name: str) -> str:
    time.sleep(0.01)
    return f"plain hello {name}"


@greeter.handler()
async def block(ctx: perdure.Context, seconds: float) -> str:
    Path("blocking").touch()
    time.sleep(seconds)  # the culprit
    return "done"


@greeter.handler()
def hold(ctx: perdure.Context) -> None:
    Path("holding").touch()
    time.sleep(3600)


@greeter.handler()
async def fail(ctx: perdure.Context) -> None:
    raise perdure.TerminalError("not today", status_code=418)


@greeter.handler()
async def stumble(ctx: perdure.Context) -> str:
    if not Path("mended").exists():
        raise ValueError("the step is broken")
    return "up again"


@greeter.handler()
async def steps(ctx: perdure.Context) -> str:
    def first() -> str:
        with Path("runs").open("a") as runs:
            runs.write("1")
        return "first"

    result = await ctx.run_typed("first", first)
    awakeable_id, last = ctx.awakeable(type_hint=str)
    Path("waiting").write_text(awakeable_id)
    return f"{result} and {await last}"


@greeter.handler()
async def stuck(ctx: perdure.Context) -> None:
    Path("stuck").touch()
    await asyncio.sleep(3600)


counter = perdure.VirtualObject("Counter")


@counter.handler()
async def add(ctx: perdure.ObjectContext, amount: int) -> int:
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


app = perdure.app([greeter, counter])
"""


@pytest.fixture
def services(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SERVICES)
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield str(taken.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, at_most_s: float = 60) -> None:
    deadline = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def has_text(path: Path) -> bool:
    return path.exists() and bool(path.read_text())


def status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.status


def resolve_awakeable(engine: Command, folder: Path) -> None:
    """Lets `Greeter/steps` go on."""
    awakeable_id = (folder / "waiting").read_text()
    url = f"{engine.banner['ingress']}/restate/awakeables/{awakeable_id}/resolve"
    urllib.request.urlopen(
        urllib.request.Request(url, b'"last"', {"content-type": "application/json"}), timeout=60
    ).close()


# ---- up ----


@pytest.mark.usefixtures("services")
def test_up_says_where_it_is_once_it_answers(up: Callable[..., Command], tmp_path: Path) -> None:
    engine = up("mine:app")
    assert engine.banner["services"] == "Greeter, Counter"
    assert status(engine.banner["ingress"] + "/restate/health") == 200
    assert status(engine.banner["admin"] + "/health") == 200
    assert (tmp_path / engine.banner["store"]).is_file()
    assert not engine.banner["ingress"].endswith((":0", ":8080"))


def test_up_without_services_is_the_engine_alone(up: Callable[..., Command]) -> None:
    engine = up()
    assert engine.banner["services"] == "none here"
    assert status(engine.banner["admin"] + "/health") == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("services")
def test_up_asked_to_stop_ends_with_0_and_no_traceback(up: Callable[..., Command], number: signal.Signals) -> None:
    engine = up("mine:app")
    assert engine.stop(number) == 0
    assert not engine.logged("Traceback")


@pytest.mark.usefixtures("services")
def test_a_second_signal_ends_it_at_once(up: Callable[..., Command], run: Run, tmp_path: Path) -> None:
    engine = up("mine:app")
    assert run("invoke", "Greeter/stuck", "--send", engine=engine).returncode == 0
    wait_for((tmp_path / "stuck").exists, "the handler runs")
    started = time.monotonic()
    engine.process.send_signal(signal.SIGINT)
    wait_for(lambda: not engine_takes_work(engine), "the engine stops")
    assert engine.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < 9


def engine_takes_work(engine: Command) -> bool:
    try:
        return status(engine.banner["ingress"] + "/restate/health") == 200
    except OSError:
        return False


@pytest.mark.parametrize("option", ["--ingress-port", "--admin-port"])
def test_a_port_in_use_is_exit_3(run: Run, taken_port: str, option: str) -> None:
    other = {"--ingress-port": "--admin-port", "--admin-port": "--ingress-port"}[option]
    ended = run("up", option, taken_port, other, "0")
    assert ended.returncode == 3
    assert_one_sentence(ended.stderr, f"cannot listen on 127.0.0.1:{taken_port}: another process listens there")
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("reference", "code", "sentence"),
    [
        ("mine:nothing", 4, "mine (mine.py) has no 'nothing'"),
        ("yours:app", 4, "no module 'yours' in"),
        ("broken:app", 4, "broken cannot be imported: broken.py:1: SyntaxError"),
        ("raises:app", 4, "raises cannot be imported: raises.py:2: ValueError: no key"),
        ("raises", 2, "'raises' does not name services: write module:attr"),
    ],
)
@pytest.mark.parametrize("command", ["up", "serve"])
def test_what_cannot_be_imported_is_exit_4(
    run: Run, services: Path, command: str, reference: str, code: int, sentence: str
) -> None:
    (services / "broken.py").write_text("def (:\n")
    (services / "raises.py").write_text("\nraise ValueError('no key')\n")
    ended = run(command, reference)
    assert ended.returncode == code
    assert_one_sentence(ended.stderr, sentence)


def test_a_store_that_another_engine_holds_is_exit_5(up: Callable[..., Command], run: Run) -> None:
    engine = up()
    ended = run("up", "--ingress-port", "0", "--admin-port", "0")
    assert ended.returncode == 5
    assert_one_sentence(ended.stderr, "another engine holds the store in")
    assert status(engine.banner["admin"] + "/health") == 200


def test_a_store_that_cannot_be_read_is_exit_5(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".perdure").mkdir()
    (tmp_path / ".perdure" / "perdure.db").write_bytes(b"this is no database at all" * 100)
    ended = run("up", "--ingress-port", "0", "--admin-port", "0")
    assert ended.returncode == 5
    assert_one_sentence(ended.stderr, "perdure.db")


def test_a_data_folder_that_cannot_be_made_is_exit_5(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run("up", "--ingress-port", "0", "--admin-port", "0", "--data-dir", "file/data")
    assert ended.returncode == 5
    assert_one_sentence(ended.stderr, "file/data")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process's file size, on Linux")
@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("thread_is_blocked", [False, True])
def test_a_disk_that_fills_up_is_exit_5(
    up: Callable[..., Command], run: Run, tmp_path: Path, thread_is_blocked: bool
) -> None:
    engine = up("mine:app")
    if thread_is_blocked:
        assert run("invoke", "Greeter/hold", "--send", engine=engine).returncode == 0
        wait_for((tmp_path / "holding").exists, "the handler blocks its thread")
    resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))
    body = json.dumps("x" * 100_000)
    for _ in range(10):
        if run("invoke", "Greeter/greet", "--json", body, engine=engine).returncode != 0:
            break
    assert engine.process.wait(9) == 5  # no grace: nothing more can be committed
    [sentence] = [line for line in engine.stopped_log() if line.startswith("perdure: ")]
    assert "perdure.db" in sentence or "store" in sentence
    assert not engine.logged("Traceback")


@pytest.mark.parametrize(
    "arguments",
    [("up", "--port", "1"), ("up", "--admin-port", "many"), ("nothing",), ("invoke", "Greeter"), ("serve",)],
)
def test_what_is_not_understood_is_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("services")
def test_a_blocked_loop_is_reported_with_file_and_line(up: Callable[..., Command], run: Run) -> None:
    engine = up("mine:app")
    line = SERVICES.splitlines().index("    time.sleep(seconds)  # the culprit") + 1
    assert run("invoke", "Greeter/block", "--json", "1", engine=engine).stdout == '"done"\n'
    wait_for(lambda: engine.logged(f"mine.py:{line}, in block"), "the report")


@pytest.mark.usefixtures("services")
def test_a_signal_ends_an_engine_whose_loop_is_blocked(up: Callable[..., Command], run: Run, tmp_path: Path) -> None:
    engine = up("mine:app")
    caller = threading.Thread(target=run, args=("invoke", "Greeter/block", "--json", "3600"), kwargs={"engine": engine})
    caller.start()
    wait_for((tmp_path / "blocking").exists, "the handler blocks")
    wait_for(lambda: engine.logged("the event loop has been blocked"), "the report")
    assert engine.stop(signal.SIGTERM, signal.SIGTERM) == 0
    caller.join()


@pytest.mark.usefixtures("services")
def test_a_failing_attempt_is_one_warning(up: Callable[..., Command], run: Run, tmp_path: Path) -> None:
    engine = up("mine:app")
    assert run("invoke", "Greeter/stumble", "--send", engine=engine).returncode == 0
    wait_for(lambda: engine.logged("the step is broken"), "the warning")
    [warning] = [line for line in engine.log if "the step is broken" in line and "WARNING" in line][:1]
    assert "Greeter/stumble" in warning or "inv_" in warning
    (tmp_path / "mended").touch()


@pytest.mark.usefixtures("services")
def test_work_goes_on_where_kill_9_left_it(up: Callable[..., Command], run: Run, tmp_path: Path) -> None:
    engine = up("mine:app")
    sent = run("invoke", "Greeter/steps", "--send", "--idempotency-key", "once", engine=engine)
    assert sent.returncode == 0
    wait_for(lambda: has_text(tmp_path / "waiting"), "the first step is done")
    engine.stop(signal.SIGKILL)
    again = up("mine:app")
    resolve_awakeable(again, tmp_path)
    ended = run("invoke", "Greeter/steps", "--idempotency-key", "once", engine=again)
    assert ended.stdout == '"first and last"\n'
    assert (tmp_path / "runs").read_text() == "1"


@pytest.mark.usefixtures("services")
def test_work_suspends_at_sigterm_and_goes_on_afterwards(up: Callable[..., Command], run: Run, tmp_path: Path) -> None:
    engine = up("mine:app")
    assert run("invoke", "Greeter/steps", "--send", "--idempotency-key", "once", engine=engine).returncode == 0
    wait_for(lambda: has_text(tmp_path / "waiting"), "the first step is done")
    started = time.monotonic()
    assert engine.stop() == 0
    assert time.monotonic() - started < 9
    again = up("mine:app")
    resolve_awakeable(again, tmp_path)
    ended = run("invoke", "Greeter/steps", "--idempotency-key", "once", engine=again)
    assert ended.stdout == '"first and last"\n'
    assert (tmp_path / "runs").read_text() == "1"


# ---- serve and deployments ----


@pytest.mark.usefixtures("services")
def test_served_services_are_registered_and_called(up: Callable[..., Command], start: Start, run: Run) -> None:
    engine = up()
    server = start("serve", "mine:app", "--port", "0").ready()
    assert server.banner["register"] == f"perdure deployments register {server.banner['endpoint']}"
    registered = run("deployments", "register", server.banner["endpoint"], "--force", "--yes", engine=engine)
    assert registered.returncode == 0
    assert "Greeter (revision 1)" in registered.stdout
    assert run("invoke", "Greeter/greet", "--json", '"E"', engine=engine).stdout == '"hello E"\n'
    assert run("invoke", "Greeter/plain", "--json", '"E"', engine=engine).stdout == '"plain hello E"\n'
    listed = run("deployments", "list", engine=engine)
    assert server.banner["endpoint"] in listed.stdout
    assert server.stop() == 0
    assert not server.logged("Traceback")


@pytest.mark.usefixtures("services")
def test_a_server_asked_to_stop_lets_its_attempts_suspend(
    up: Callable[..., Command], start: Start, run: Run, tmp_path: Path
) -> None:
    engine = up()
    server = start("serve", "mine:app", "--port", "0").ready()
    url = server.banner["endpoint"]
    assert run("deployments", "register", url, "--yes", engine=engine).returncode == 0
    assert run("invoke", "Greeter/steps", "--send", "--idempotency-key", "once", engine=engine).returncode == 0
    wait_for(lambda: has_text(tmp_path / "waiting"), "the first step is done")
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 9
    start("serve", "mine:app", "--port", url.rpartition(":")[2]).ready()
    resolve_awakeable(engine, tmp_path)
    ended = run("invoke", "Greeter/steps", "--idempotency-key", "once", engine=engine)
    assert ended.stdout == '"first and last"\n'
    assert (tmp_path / "runs").read_text() == "1"


@pytest.mark.usefixtures("services")
def test_a_second_server_on_the_same_port_is_exit_3(start: Start, run: Run) -> None:
    port = start("serve", "mine:app", "--port", "0").ready().banner["endpoint"].rpartition(":")[2]
    ended = run("serve", "mine:app", "--port", port)
    assert ended.returncode == 3
    assert_one_sentence(ended.stderr, f"cannot listen on 127.0.0.1:{port}")


def test_registering_what_is_not_there_is_exit_1(up: Callable[..., Command], run: Run, taken_port: str) -> None:
    ended = run("deployments", "register", f"http://127.0.0.1:{taken_port}1", "--yes", engine=up())
    assert ended.returncode == 1
    assert_one_sentence(ended.stderr, "")


def test_registering_with_nobody_to_ask_wants_yes(up: Callable[..., Command], run: Run) -> None:
    ended = run("deployments", "register", "http://127.0.0.1:1", engine=up())
    assert ended.returncode == 2
    assert_one_sentence(ended.stderr, "add --yes")


# ---- invoke and invocations ----


@pytest.mark.usefixtures("services")
def test_invoke_prints_results_and_fails_with_1(up: Callable[..., Command], run: Run) -> None:
    engine = up("mine:app")
    assert run("invoke", "Counter/add", "--key", "a b/c", "--json", "2", engine=engine).stdout == "2\n"
    assert run("invoke", "Counter/add", "--key", "a b/c", "--json", "3", engine=engine).stdout == "5\n"
    once = ("invoke", "Counter/add", "--key", "k", "--json", "1", "--idempotency-key", "same")
    assert [run(*once, engine=engine).stdout for _ in range(2)] == ["1\n", "1\n"]

    failed = run("invoke", "Greeter/fail", engine=engine)
    assert failed.returncode == 1
    assert_one_sentence(failed.stderr, "not today")
    assert failed.stdout == ""

    unknown = run("invoke", "Greeter/gret", "--json", '"E"', engine=engine)
    assert unknown.returncode == 1
    assert_one_sentence(unknown.stderr, "Did you mean Greeter/greet?")


@pytest.mark.usefixtures("services")
def test_an_invocation_is_shown_and_cancelled(up: Callable[..., Command], run: Run) -> None:
    engine = up("mine:app")
    sent = run("invoke", "Greeter/greet", "--json", '"E"', "--send", "--delay", "1h", engine=engine)
    invocation_id = json.loads(sent.stdout)["invocationId"]
    shown = run("invocations", "get", invocation_id, engine=engine)
    assert json.loads(shown.stdout)["target"] == "Greeter/greet"
    for action in ("cancel", "kill"):
        other = run("invoke", "Greeter/steps", "--send", engine=engine)
        acted = run("invocations", action, json.loads(other.stdout)["invocationId"], engine=engine)
        assert acted.returncode == 0, acted.stderr
    unknown = run("invocations", "get", "inv_nothing", engine=engine)
    assert unknown.returncode == 1
    assert_one_sentence(unknown.stderr, "")


def test_no_engine_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_INGRESS_URL", "http://127.0.0.1:1")
    ended = run("invoke", "Greeter/greet")
    assert ended.returncode == 1
    assert_one_sentence(ended.stderr, "no engine answers at http://127.0.0.1:1 (connection refused)")


def assert_one_sentence(text: str, part: str) -> None:
    assert part in text
    assert text.startswith("perdure: ")
    assert text.count("\n") == 1, text
