"""Nothing is put off, or kept, for longer than calendars go on."""

import pytest
from msgspec.structs import replace

from perdure.engine.config import HandlerDefaults
from perdure.engine.timers import Timer
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import HandlerManifest, ServiceManifest
from perdure.protocol.ids import DeploymentId
from perdure.times import DELAY_MS_MAX
from perdure.transport.http_errors import retry_after_ms
from tests.unit.engine.table import START_MS, Table
from tests.unit.engine.test_interventions import end

FOR_EVER = [2**53, 2**63 - 1, 2**64 - 1]
LAST_MS = START_MS + DELAY_MS_MAX


def timers(table: Table) -> list[Timer]:
    table.commit()
    return table.reader.timers_after((-1, 0, 0), 10)


@pytest.mark.parametrize("at_ms", FOR_EVER)
def test_a_sleep(table: Table, at_ms: int) -> None:
    invocation = table.begin("Greeter/greet")
    table.say(invocation, pb.SleepCommandMessage(wake_up_time=at_ms, result_completion_id=1))
    assert timers(table) == [(LAST_MS, invocation.number, 1)]


@pytest.mark.parametrize("at_ms", FOR_EVER)
def test_a_send(table: Table, at_ms: int) -> None:
    invocation = table.begin("Greeter/greet")
    send = pb.OneWayCallCommandMessage(
        service_name="Greeter", handler_name="greet", invoke_time=at_ms, invocation_id_notification_idx=1
    )
    table.say(invocation, send)
    assert timers(table) == [(LAST_MS, invocation.number + 1, 0)]


def test_a_retry(table: Table) -> None:
    invocation = table.begin("Greeter/greet")
    table.say(invocation, pb.ErrorMessage(code=500, message="busy", next_retry_delay=2**64 - 1))
    assert invocation.retry_at_ms == LAST_MS


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Fri, 31 Dec 9999 23:59:59 -2359", DELAY_MS_MAX),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DELAY_MS_MAX),
        ("Fri, 31 Dec 9999 23:59:59 -0000", DELAY_MS_MAX),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Fri, 31 Dec 10000 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -99999999999999999999", None),
        ("9" * 5000, DELAY_MS_MAX),
    ],
)
def test_what_a_service_asks_to_wait(header: str, expected: int | None) -> None:
    assert retry_after_ms(header, 1_700_000_000) == expected


def test_what_an_engine_is_told_for_all_handlers() -> None:
    defaults = HandlerDefaults(inactivity_timeout_ms=10**30, abort_timeout_ms=2**63, retention_ms=2**63 - 1)
    assert defaults == HandlerDefaults(DELAY_MS_MAX, DELAY_MS_MAX, DELAY_MS_MAX)


def test_what_is_kept(table: Table) -> None:
    deployment = table.registry.deployments[DeploymentId("dp_test")]
    handlers = [HandlerManifest(name="greet", idempotency_retention=2**63 - 1)]
    service = ServiceManifest(name="Greeter", ty="SERVICE", journal_retention=2**63 - 1, handlers=handlers)
    table.registry.put(replace(deployment, manifest=replace(deployment.manifest, services=[service])))
    invocation = table.begin("Greeter/greet", idempotency_key="k")
    end(table, invocation)
    table.commit()
    kept = table.reader.invocation(invocation.number)
    assert kept is not None
    assert kept.expires_at_ms == LAST_MS
