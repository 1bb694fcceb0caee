"""The commands of those who run agents: schedules, state, and what is done to invocations."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.commands import Command, Run

SERVICES = """
from datetime import timedelta

import perdure

reports = perdure.Service("Reports")
counter = perdure.VirtualObject("Counter")


@reports.handler()
async def write(ctx: perdure.Context, team: str) -> int:
    return await ctx.object_call(add, team, 2)


@reports.handler()
async def fail(ctx: perdure.Context) -> None:
    await ctx.run_typed("prepare", lambda: 1)
    raise ValueError("not yet")


@counter.handler()
async def add(ctx: perdure.ObjectContext, amount: int) -> int:
    ctx.set("total", amount)
    await ctx.sleep(timedelta(hours=1), name="think")
    return amount


app = perdure.app([reports, counter])
"""

FAR = f"0 9 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"
"""A cron expression for half a year from now: nothing falls due while it is looked at."""

ID = re.compile(r"inv_1[a-zA-Z0-9]{33}")


@pytest.fixture
def engine(tmp_path: Path, up: Callable[..., Command]) -> Command:
    (tmp_path / "mine.py").write_text(SERVICES)
    return up("mine:app")


@pytest.fixture
def perdure(run: Run, engine: Command) -> Callable[..., str]:
    """Runs a command that must succeed; what it prints."""

    def perdure(*arguments: str) -> str:
        ended = run(*arguments, engine=engine)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return perdure


def begin(perdure: Callable[..., str], handler: str, body: str | None = None) -> str:
    arguments = ["--input", body] if body is not None else []
    return str(json.loads(perdure("invoke", handler, "--send", *arguments))["invocationId"])


def begin_at_key(perdure: Callable[..., str], key: str) -> str:
    return str(json.loads(perdure("invoke", "Counter/add", "--key", key, "--input", "1", "--send"))["invocationId"])


def wait_for_status(perdure: Callable[..., str], invocation_id: str, *statuses: str) -> None:
    deadline = time.monotonic() + 60
    while json.loads(perdure("invocations", "describe", invocation_id, "--json"))["status"] not in statuses:
        assert time.monotonic() < deadline, f"{invocation_id} does not become {statuses}"
        time.sleep(0.05)


def test_a_schedule_is_made_and_lived_with(perdure: Callable[..., str], run: Run, engine: Command) -> None:
    assert "no schedules yet" in perdure("schedules", "list")
    made = perdure("schedules", "create", "yearly", "Reports/fail", "--cron", FAR, "--timezone", "Europe/Berlin")
    assert made.startswith(f"made yearly: Reports/fail, {FAR} Europe/Berlin, in ")
    keyed = ("--key", "k", "--input", "1", "--scope", "eu", "--limit-key", "a/b", "--overlap", "skip", "--paused")
    perdure("schedules", "create", "often", "Counter/add", "--every", "90s", "--catch-up", "none", *keyed)
    listed = perdure("schedules", "list").splitlines()
    assert listed[0].split() == ["ID", "TARGET", "WHEN", "NEXT", "ERROR"]
    assert [line.split()[0] for line in listed[1:]] == ["often", "yearly"]
    assert listed[1].split() == ["often", "Counter/k/add", "every", "1m", "30s", "paused"]

    started = ID.search(perdure("schedules", "trigger", "often"))
    assert started is not None
    view = json.loads(perdure("invocations", "describe", started[0], "--json"))
    assert json.loads(perdure("invocations", "get", started[0])).keys() == view.keys()
    assert (view["invoked_by"], view["schedule_id"], view["scope"]) == ("schedule", "often", "eu")
    described = json.loads(perdure("schedules", "describe", "often", "--json"))
    assert described["last_invocation_id"] == started[0]
    assert described["input"] == 1
    assert re.search(r"last invocation +inv_1", perdure("schedules", "describe", "often"))

    edited = perdure("schedules", "edit", "often", "--cron", FAR, "--key", "k2", "--limit-key", "")
    assert edited == f"edited often: Counter/k2/add, {FAR} UTC, paused\n"
    described = json.loads(perdure("schedules", "describe", "often", "--json"))
    assert described["target"] == {"service": "Counter", "handler": "add", "key": "k2", "scope": "eu"}
    kept = {name: described[name] for name in ("every", "limit_key", "overlap", "catch_up", "input", "version")}
    assert kept == {
        "every": None,
        "limit_key": None,
        "overlap": "skip",
        "catch_up": "none",
        "input": 1,
        "version": 2,
    }
    edited = perdure("schedules", "edit", "yearly", "Reports/write", "--input", '"ada"')
    assert edited.startswith(f"edited yearly: Reports/write, {FAR} Europe/Berlin, in ")
    nothing = run("schedules", "edit", "often", engine=engine)
    assert (nothing.returncode, "nothing to change" in nothing.stderr) == (2, True)

    assert perdure("schedules", "resume", "often").startswith("resumed often: in ")
    perdure("schedules", "pause", "often")
    assert json.loads(perdure("schedules", "list", "--json"))[0]["paused"]
    unasked = run("schedules", "delete", "often", engine=engine)
    assert (unasked.returncode, unasked.stderr) == (2, "perdure: nobody is here to be asked: add --yes\n")
    perdure("schedules", "delete", "often", "--yes")
    gone = run("schedules", "describe", "often", engine=engine)
    assert (gone.returncode, gone.stderr) == (
        1,
        "perdure: no schedule 'often': `perdure schedules list` shows what there is\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("yearly", "Reports/fail", "--cron", "0 9 * *"), "wrong number of fields"),
        (("yearly", "Reports/fail"), "either `cron`"),
        (("yearly", "Reports/fail", "--every", "soon"), "every: 'soon' is not a duration"),
        (("yearly", "Reports/fale", "--every", "1h"), "Did you mean Reports/fail?"),
        (("yearly", "Counter/add", "--every", "1h"), "without a key"),
        (("da ily", "Reports/fail", "--every", "1h"), "is no id of a schedule"),
        (("yearly", "Reports", "--every", "1h"), "must be Service/handler"),
        (("yearly", "Reports/fail", "--every", "1h", "--input", "{"), "is not JSON"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(run: Run, engine: Command, arguments: tuple[str, ...], said: str) -> None:
    ended = run("schedules", "create", *arguments, engine=engine)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert ended.stdout == ""


def test_state_is_shown_and_changed(perdure: Callable[..., str], run: Run, engine: Command) -> None:
    assert perdure("state", "get", "Counter", "k") == "Counter/k has no state\n"
    perdure("state", "patch", "Counter", "k", '{"total": 3, "note": "a b"}', "--yes")
    assert perdure("state", "get", "Counter", "k").splitlines()[1:] == ['note   "a b"', "total  3"]
    perdure("state", "patch", "Counter", "k", '{"note": null, "more": [1]}', "-y")
    assert json.loads(perdure("state", "get", "Counter", "k", "--json")) == {"more": [1], "total": 3}
    refused = run("state", "clear", "Counter", "k", engine=engine)
    assert (refused.returncode, refused.stderr) == (2, "perdure: nobody is here to be asked: add --yes\n")
    perdure("state", "clear", "Counter", "k", "--yes")
    assert perdure("state", "get", "Counter", "k", "--json") == "{}\n"
    assert run("state", "patch", "Counter", "k", "[1]", "-y", engine=engine).returncode == 2
    assert "Did you mean" in run("state", "get", "Countr", "k", engine=engine).stderr


def test_one_invocation_is_paused_resumed_ended_restarted_and_purged(
    perdure: Callable[..., str], run: Run, engine: Command
) -> None:
    failing = begin(perdure, "Reports/fail")
    wait_for_status(perdure, failing, "backing-off")
    assert perdure("invocations", "pause", failing) == f"paused {failing}\n"
    wait_for_status(perdure, failing, "paused")
    perdure("invocations", "resume", failing, "--deployment", "latest")
    perdure("invocations", "cancel", failing, "--then-kill", "10ms")
    wait_for_status(perdure, failing, "completed")
    again = perdure("invocations", "restart-as-new", failing, "--from", "0")
    assert re.fullmatch(f"restarted {failing} as {ID.pattern}\n", again)
    assert perdure("invocations", "purge-journal", failing) == f"purged the journal of {failing}\n"
    assert perdure("invocations", "describe", failing).endswith("\n\nits journal was purged\n")
    both = run("invocations", "purge", failing, ID.findall(again)[-1], failing, engine=engine)
    assert both.returncode == 1
    assert both.stdout == f"purged {failing}\n"
    assert "1 of 2 refused" in both.stderr
    assert perdure("invocations", "kill", ID.findall(again)[-1]).startswith("killed ")


def test_invocations_are_found_with_what_they_wait_for(perdure: Callable[..., str], run: Run, engine: Command) -> None:
    assert perdure("invocations", "list") == "none\n"
    caller = begin(perdure, "Reports/write", '"it\'s"')
    waiting = begin_at_key(perdure, "it's")
    wait_for_status(perdure, waiting, "pending")
    listed = perdure("invocations", "list", "--key", "it's").splitlines()
    assert listed[0].split() == ["ID", "TARGET", "STATUS", "CREATED", "WHY"]
    assert listed[1].startswith(f"{waiting}  Counter/it's/add  pending")
    assert "waits for key `it's`, held by inv_" in listed[1]
    oldest = ("--service", "Reports", "--handler", "write", "--oldest-first", "--limit", "1")
    assert [row["id"] for row in json.loads(perdure("invocations", "list", *oldest, "--json"))] == [caller]
    status = ("--status", "completed", "--status", "pending")
    assert [row["id"] for row in json.loads(perdure("invocations", "list", *status, "--json"))] == [waiting]
    unknown = run("invocations", "list", "--status", "asleep", engine=engine)
    assert (unknown.returncode, "there is scheduled, pending" in unknown.stderr) == (2, True)

    described = perdure("invocations", "describe", caller)
    assert re.search(r"^why +.*waits for `Counter/it's/add`", described, re.MULTILINE)
    tree = described.partition("\n\n")[2].splitlines()
    assert tree[0] == "├─ 0 Input"
    assert tree[1] == "└─ 1 Call Counter/it's/add"
    assert re.fullmatch(rf"   {ID.pattern} \w+: .*think.*", tree[2])
    assert [line.split()[2] for line in tree[3:]] == ["Input", "SetState", "Sleep"]
    assert re.fullmatch(r'   └─ \d Sleep "think" due in .*', tree[-1])


def test_many_are_ended_and_purged_by_what_they_are(perdure: Callable[..., str], run: Run, engine: Command) -> None:
    ids = {begin(perdure, "Reports/fail") for _ in range(3)}
    asked = run("invocations", "kill", "Reports/fail", engine=engine)
    assert (asked.returncode, asked.stderr) == (2, "perdure: nobody is here to be asked: add --yes\n")
    assert set(ID.findall(perdure("invocations", "kill", "Reports/fail", "--yes"))) == ids
    assert len(json.loads(perdure("invocations", "list", "--all", "--json"))) == 3
    assert set(ID.findall(perdure("invocations", "purge", "Reports", "--yes"))) == ids
    assert perdure("invocations", "list", "--all") == "none\n"
    nothing = run("invocations", "cancel", "Reports", "--yes", engine=engine)
    assert nothing.returncode == 2
    assert nothing.stderr == "perdure: nothing to cancel: no invocation of Reports is in a status for that\n"
    nobody = run("invocations", "cancel", "Nope", "--yes", engine=engine)
    assert "; no deployment has a service Nope. There is Counter, Reports\n" in nobody.stderr
    none = run("invocations", "list", "--service", "Nope", engine=engine)
    assert (none.returncode, none.stdout) == (0, "none\n")
    assert none.stderr == "perdure: no deployment has a service Nope. There is Counter, Reports\n"


def test_any_question_is_asked_in_sql(perdure: Callable[..., str], run: Run, engine: Command) -> None:
    assert perdure("sql", "select id from sys_invocation") == "no rows\n"
    assert json.loads(perdure("sql", "select 1 as a, 'x' as b, null as c", "--json"))[0].items() >= {
        ("a", 1),
        ("b", "x"),
    }
    assert perdure("sql", "select 1 as a, 'x y' as b").splitlines() == ["a  b", "1  x y"]
    assert perdure("sql", "select 1 as x, null as y").splitlines() == ["x  y", "1"]
    wrong = run("sql", "delete from sys_invocation", engine=engine)
    assert (wrong.returncode, wrong.stdout) == (1, "")


def test_rules_are_put_shown_and_deleted(perdure: Callable[..., str], run: Run, engine: Command) -> None:
    assert "no rules yet" in perdure("rules", "list")
    put = perdure("rules", "set", "service:Reports", "--concurrency", "2", "--rate", "100/1m", "--burst", "5")
    assert put == "service:Reports: rate 100/m, 5 at once, concurrency 2 (version 1)\n"
    perdure("rules", "set", "openai/*", "--rate", "5/s", "--backlog", "9", "--description", "each customer")
    listed = perdure("rules", "list").splitlines()
    assert re.split("  +", listed[1]) == ["openai/*", "rate 5/s, backlog 9", "1", "each customer"]
    assert perdure("rules", "set", "service:Reports", "--disabled", "--version", "1").endswith("disabled (version 2)\n")
    kept = perdure("rules", "set", "service:Reports", "--concurrency", "3", "--enabled")
    assert kept == "service:Reports: rate 100/m, 5 at once, concurrency 3 (version 3)\n"
    assert perdure("rules", "set", "openai/*", "--burst", "9").endswith("rate 5/s, 9 at once, backlog 9 (version 2)\n")
    only = perdure("rules", "set", "openai/*", "--unlimited", "--concurrency", "7")
    assert only == "openai/*: concurrency 7 (version 3)\n"
    [customer, _] = json.loads(perdure("rules", "list", "--json"))
    assert customer["description"] == "each customer"
    stale = run("rules", "set", "service:Reports", "--concurrency", "1", "--version", "1", engine=engine)
    assert stale.returncode == 1
    assert [rule["version"] for rule in json.loads(perdure("rules", "list", "--json"))] == [3, 3]
    assert "add --yes" in run("rules", "delete", "openai/*", engine=engine).stderr
    unknown = run("rules", "delete", "openai/*", "nothing", "-y", engine=engine)
    assert (unknown.returncode, unknown.stdout) == (2, "deleted openai/*\n")
    assert "no rule nothing" in unknown.stderr
    for wrong in (("--rate", "fast"), ("--burst", "3"), ("--rate", "3/soon")):
        assert run("rules", "set", "openai", *wrong, engine=engine).returncode == 2
