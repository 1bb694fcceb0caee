"""Code that no longer follows its journal is stopped, and it is said why."""

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually

MISMATCH = {"last_failure_error_code": "RT0016", "last_failure_related_command_index": 1}


@pytest.mark.parametrize("how", ["another command", "another target", "another argument", "nothing more"])
def test_an_attempt_that_does_something_else_fails(ingress: Ingress, name: str, how: str) -> None:
    invocation_id = ingress.send("Fickle/changes/send", [how, name])
    columns = ", ".join(MISMATCH)
    query = f"select {columns} from sys_invocation where id = '{invocation_id}' and status <> 'completed'"
    eventually(lambda: ingress.query(query) == [MISMATCH] or None, "the mismatch")
