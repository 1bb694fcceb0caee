"""`restate invocations`."""

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually
from tests.peers.cli import Cli, fields, row_of


@pytest.fixture
def napping(ingress: Ingress) -> str:
    """The id of an invocation that waits for 10 minutes."""
    return ingress.send("Plain/nap/send", 600_000)


@pytest.fixture
def failing(cli: Cli, ingress: Ingress, name: str) -> str:
    """The id of one that fails, and is tried again."""
    invocation_id = ingress.send("Plain/never_succeeds/send", f"bad luck {name}")
    eventually(lambda: status(cli, invocation_id) == "backing-off" or None, "an attempt that failed")
    return invocation_id


@pytest.fixture
def done(ingress: Ingress, name: str) -> str:
    """The id of one that has succeeded."""
    invocation_id = ingress.send(f"Ledger/{name}/add/send", 4)
    assert ingress.attach(invocation_id).json() == 4
    return invocation_id


def status(cli: Cli, invocation_id: str) -> str:
    """The first word, or `completed with ...`."""
    return fields(cli("invocations", "describe", invocation_id))["Status"].split("  ")[0]


def await_status(cli: Cli, invocation_id: str, *wanted: str) -> None:
    eventually(lambda: status(cli, invocation_id) in wanted or None, f"one of {wanted}")


# ---- list ----


def test_what_is_not_completed_is_listed(cli: Cli, ingress: Ingress, napping: str, failing: str, done: str) -> None:
    text = cli("invocations", "list", "--limit", "1000")
    assert napping in text
    assert failing in text
    assert "bad luck" in text
    assert done not in text
    assert done in cli("invocations", "list", "--all", "--limit", "1000")


def test_the_list_is_filtered(cli: Cli, ingress: Ingress, done: str, name: str) -> None:
    holder = ingress.send(f"Ledger/{name}/holds/send", 600_000)
    first, second = (ingress.send(f"Ledger/{name}/add/send", 1) for _ in range(2))
    key = ("--service", "Ledger", "--key", name)
    pending = cli("invocations", "list", *key, "--handler", "add", "--status", "pending", "--oldest-first")
    assert pending.index(first) < pending.index(second)
    assert holder in cli("invocations", "list", *key, "--handler", "holds", "--virtual-objects-only")
    completed = cli("invocations", "list", *key, "--status", "completed")
    assert done in completed
    assert "completed with success" in completed
    assert done not in cli("invocations", "list", *key, "--completion-result", "failure")
    assert holder not in cli("invocations", "list", *key, "--zombie")
    cli("invocations", "kill", f"Ledger/{name}")


def test_the_list_of_a_deployment(cli: Cli, napping: str) -> None:
    deployment = row_of(cli("services", "list"), "Plain")
    id = next(cell for cell in deployment if cell.startswith("dp_"))
    assert napping in cli("invocations", "list", "--deployment", id, "--limit", "1000")


# ---- describe ----


def test_a_journal_is_shown(cli: Cli, ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Plain/calls/send", name)
    ingress.attach(invocation_id)
    text = cli("invocations", "describe", invocation_id)
    assert fields(text)["Target"] == "Plain/calls"
    assert fields(text)["Status"] == "completed with success"
    assert "[Ingress]" in text
    assert "Command: Input" in text
    assert "Command: Call Plain/echo inv_" in text
    assert "Notification: Call" in text
    assert "Command: Output" in text


def test_a_sleep_is_shown_with_its_end(cli: Cli, napping: str) -> None:
    text = eventually(
        lambda: text if "Command: Sleep until" in (text := cli("invocations", "describe", napping)) else None,
        "the sleep in the journal",
    )
    assert "minutes" in text.partition("Command: Sleep until")[2].splitlines()[0]


def test_a_failure_is_shown_with_its_next_try(cli: Cli, failing: str) -> None:
    text = cli("invocations", "describe", failing)
    described = fields(text)
    assert described["Status"].startswith("backing-off")
    assert "Retried" in described["Status"]
    assert "bad luck" in text
    assert "Command: Run [the step before]" in text


def test_a_final_failure_is_shown(cli: Cli, ingress: Ingress) -> None:
    answer = ingress.post("Plain/fails/send", 418)
    invocation_id = answer.json()["invocationId"]
    ingress.attach(invocation_id)
    described = fields(cli("invocations", "describe", invocation_id))
    assert described["Status"] == "completed with failure"
    assert described["Error"] == "[418] no, and that is final"


def test_a_caller_is_shown(cli: Cli, ingress: Ingress, name: str) -> None:
    sent = ingress.call("Plain/sends", name)
    ingress.attach(sent)
    listed = cli("invocations", "list", "--all", "--service", "Ledger", "--key", name)
    assert sent in listed
    assert fields(listed)["Invoked by"].startswith("Plain/sends inv_")


# ---- operations ----


def test_cancel(cli: Cli, ingress: Ingress, napping: str) -> None:
    assert "Cancelled 1 invocations" in cli("invocations", "cancel", napping)
    assert ingress.attach(napping).status_code == 409
    assert "No invocations found" in cli.refused("invocations", "cancel", napping)


def test_cancel_by_key_and_handler(cli: Cli, ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send(f"Ledger/{name}/holds/send", 600_000)
    assert invocation_id in cli("invocations", "cancel", f"Ledger/{name}/holds")
    assert ingress.attach(invocation_id).status_code == 409


def test_an_invocation_that_backs_off_is_cancelled(cli: Cli, ingress: Ingress, failing: str) -> None:
    cli("invocations", "cancel", failing)
    await_status(cli, failing, "backing-off", "completed with failure")
    cli.run("invocations", "kill", failing)
    assert ingress.attach(failing).status_code == 409


def test_kill(cli: Cli, ingress: Ingress, failing: str) -> None:
    assert "Killed 1 invocations" in cli("invocations", "kill", failing)
    assert ingress.attach(failing).status_code == 409
    described = fields(cli("invocations", "describe", failing))
    assert described["Status"] == "completed with failure"
    assert described["Error"] == "[409] killed"


def test_cancel_with_kill(cli: Cli, ingress: Ingress, napping: str) -> None:
    assert "Killed 1 invocations" in cli("invocations", "cancel", "--kill", napping)
    assert ingress.attach(napping).status_code == 409


def test_all_of_a_handler_are_killed(cli: Cli, ingress: Ingress, failing: str) -> None:
    other = ingress.send("Plain/never_succeeds/send", "also")
    text = cli("invocations", "kill", "Plain/never_succeeds")
    assert failing in text
    assert other in text
    assert ingress.attach(other).status_code == 409


def test_pause_and_resume(cli: Cli, failing: str) -> None:
    assert "Paused 1 invocations" in cli("invocations", "pause", failing)
    await_status(cli, failing, "paused")
    assert failing in cli("invocations", "list", "--status", "paused")
    assert "Resumed 1 invocations" in cli("invocations", "resume", failing)
    await_status(cli, failing, "running", "ready", "backing-off")
    cli("invocations", "kill", failing)


def test_resume_on_the_latest_deployment(cli: Cli, failing: str) -> None:
    cli("invocations", "pause", failing)
    await_status(cli, failing, "paused")
    assert "Resumed 1 invocations" in cli("invocations", "resume", "--deployment", "latest", failing)
    await_status(cli, failing, "running", "ready", "backing-off")
    cli("invocations", "kill", failing)


def test_restart_as_new(cli: Cli, ingress: Ingress, done: str, name: str) -> None:
    text = cli("invocations", "restart-as-new", done)
    old, new = row_of(text.partition("NEW ID")[2], done)
    assert old == done
    assert new != done
    assert ingress.attach(new).json() == 8
    assert ingress.call(f"Ledger/{name}/total") == 8


def test_what_is_not_completed_is_not_restarted(cli: Cli, napping: str) -> None:
    assert "No invocations found" in cli.refused("invocations", "restart-as-new", napping)


def test_purge(cli: Cli, ingress: Ingress, done: str, name: str) -> None:
    assert "Purged 1 invocations" in cli("invocations", "purge", done)
    eventually(lambda: ingress.attach(done).status_code == 404 or None, "nothing at its id")
    assert done not in cli("invocations", "list", "--all", "--service", "Ledger", "--key", name)


def test_purge_by_handler(cli: Cli, ingress: Ingress) -> None:
    invocation_id = ingress.send("Plain/nothing/send")
    ingress.attach(invocation_id)
    assert invocation_id in cli("invocations", "purge", "Plain/nothing")
    eventually(lambda: ingress.attach(invocation_id).status_code == 404 or None, "nothing at its id")


def test_what_matches_nothing_is_said(cli: Cli) -> None:
    assert "No invocations found" in cli.refused("invocations", "cancel", "Nobody")
