"""`restate sql`: Arrow answers, shown as a table, JSON and lines of JSON."""

import json

import pytest

from tests.conformance.conftest import Ingress
from tests.peers.cli import Cli, row_of


@pytest.fixture
def invocation_id(ingress: Ingress, name: str) -> str:
    """One that has succeeded."""
    id = ingress.send(f"Ledger/{name}/add/send", 5)
    ingress.attach(id)
    return id


def test_a_query_is_shown_as_a_table(cli: Cli, invocation_id: str, name: str) -> None:
    query = f"select id, target, status, journal_size from sys_invocation where id = '{invocation_id}'"
    row = row_of(cli("sql", query), invocation_id)
    assert row[:3] == [invocation_id, f"Ledger/{name}/add", "completed"]
    assert int(row[3]) >= 3


def test_a_query_is_shown_as_json(cli: Cli, invocation_id: str, name: str) -> None:
    query = f"""
        select id, target_service_key as key, retry_count, completed_at >= created_at as in_order, completion_retention
        from sys_invocation where id = '{invocation_id}'
    """
    [row] = json.loads(cli("sql", "--json", query))
    assert row["id"] == invocation_id
    assert row["key"] == name
    assert row["in_order"] is True


def test_a_query_is_shown_as_lines_of_json(cli: Cli, invocation_id: str) -> None:
    query = f"select index, entry_type, appended_at from sys_journal where id = '{invocation_id}' order by index"
    rows = [json.loads(line) for line in cli("sql", "--jsonl", query).splitlines() if line.startswith("{")]
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert rows[0]["entry_type"] == "Command: Input"
    assert rows[-1]["entry_type"] == "Command: Output"
    assert all(row["appended_at"].endswith("Z") for row in rows)


def test_times_are_compared_and_counted(cli: Cli, invocation_id: str) -> None:
    query = f"""
        select count(*) as recent from sys_invocation
        where id = '{invocation_id}' and created_at > now() - interval '5 minutes'
    """
    assert json.loads(cli("sql", "--json", query)) == [{"recent": 1}]


@pytest.mark.usefixtures("invocation_id")
def test_state_is_queried(cli: Cli, name: str) -> None:
    query = f"select service_name, key, value_utf8, value from state where service_key = '{name}'"
    [row] = json.loads(cli("sql", "--json", query))
    assert row == {"service_name": "Ledger", "key": "total", "value_utf8": "5", "value": "35"}


def test_services_are_joined_to_their_deployments(cli: Cli) -> None:
    query = """
        select s.name, s.ty, d.endpoint from sys_service s join sys_deployment d on d.id = s.deployment_id
        where s.name in ('Ledger', 'Approval') order by s.name
    """
    rows = json.loads(cli("sql", "--json", query))
    assert [(row["name"], row["ty"]) for row in rows] == [("Approval", "workflow"), ("Ledger", "virtual_object")]
    assert all(row["endpoint"].startswith("http://") for row in rows)


def test_a_column_that_is_not_there_is_named(cli: Cli) -> None:
    assert "nonsense" in cli.refused("sql", "select nonsense from sys_invocation")


@pytest.mark.parametrize("statement", ["update state set value = '1'", "drop table state", "select 1; select 2"])
def test_only_one_query_is_run(cli: Cli, statement: str) -> None:
    cli.refused("sql", statement)
