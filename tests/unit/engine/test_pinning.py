"""Where an invocation goes on that is resumed, or begins again that is restarted: deployment and protocol version."""

import pytest
from msgspec.structs import replace

from perdure.engine.answers import Accepted, Done
from perdure.engine.deployment import Deployment
from perdure.engine.events import CancelRequested, PauseRequested, RestartRequested, ResumeRequested, TimersDue
from perdure.engine.invocation import Invocation, Status
from perdure.errors import UnknownDeployment, UnknownTarget, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.discovery import HandlerManifest, ServiceManifest
from perdure.protocol.ids import DeploymentId
from tests.unit.engine.table import MANIFEST, Table
from tests.unit.engine.test_interventions import ask, end

FIRST, SECOND = DeploymentId("dp_test"), DeploymentId("dp_second")


def deploy(table: Table, *services: ServiceManifest, versions: tuple[int, int] = (5, 7)) -> Deployment:
    """A second deployment, which has what the first has, or only these services; new invocations go to it."""
    served = list(services) or MANIFEST.services
    manifest = replace(MANIFEST, services=served, min_protocol_version=versions[0], max_protocol_version=versions[1])
    second = replace(
        table.registry.deployments[FIRST],
        id=SECOND,
        uri="http://localhost:9081/",
        manifest=manifest,
        revisions=dict.fromkeys((service.name for service in served), 2),
    )
    table.registry.put(second)
    return second


def ended(table: Table, version: int = 7) -> Invocation:
    """One with a step, on the first deployment."""
    invocation = table.begin("Greeter/greet")
    invocation.protocol_version = version
    table.say(
        invocation,
        pb.RunCommandMessage(result_completion_id=1, name="step"),
        pb.ProposeRunCompletionMessage(result_completion_id=1, value=b"1"),
    )
    end(table, invocation)
    table.commit()
    return invocation


def restarted(table: Table, answer: object) -> Invocation:
    assert isinstance(answer, Accepted), answer
    invocation = table.reader.invocation_by_id(answer.invocation_id)
    assert invocation is not None
    return invocation


def ended_unbegun(table: Table) -> Invocation:
    """One that was cancelled while it waited for its key, and so never had a deployment."""
    table.begin("Counter/ada/add")
    table.submit("Counter/ada/add", wants_outcome=False)
    table.commit()
    pending = table.reader.invocation(2)
    assert pending is not None
    ask(table, CancelRequested(8, pending.id))
    return pending


def paused_unpinned(table: Table) -> Invocation:
    """One whose time came when no deployment had its service, which is back by now."""
    table.submit("Greeter/greet", execute_at_ms=table.now_ms + 1000, wants_outcome=False)
    table.commit()
    deployment = table.registry.deployments[FIRST]
    table.registry.remove(FIRST)
    table.now_ms += 1000
    table.apply(TimersDue())
    table.commit()
    invocation = table.ledger.find_number(1)
    assert invocation is not None
    ask(table, PauseRequested(8, invocation.id))
    table.registry.put(deployment)
    return invocation


class TestResume:
    @pytest.mark.parametrize("deployment", ["keep", "latest", FIRST])
    def test_one_that_was_never_pinned_is_now_with_the_version(self, table: Table, deployment: str) -> None:
        invocation = paused_unpinned(table)
        assert (invocation.deployment_id, invocation.protocol_version) == (None, 0)
        assert ask(table, ResumeRequested(9, invocation.id, deployment)) == Done(True)
        resumed = table.reader.invocation(invocation.number)
        assert resumed is not None
        assert (resumed.status, resumed.deployment_id, resumed.protocol_version) == (Status.READY, FIRST, 7)

    def test_it_goes_on_in_the_version_in_which_it_began(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        invocation.protocol_version = 5
        ask(table, PauseRequested(8, invocation.id))
        deploy(table)
        assert ask(table, ResumeRequested(9, invocation.id, "latest")) == Done(True)
        resumed = table.reader.invocation(invocation.number)
        assert resumed is not None
        assert (resumed.deployment_id, resumed.protocol_version) == (SECOND, 5)

    def test_where_it_was_and_that_is_gone_it_is_refused(self, table: Table) -> None:
        invocation = table.begin("Greeter/greet")
        ask(table, PauseRequested(8, invocation.id))
        deploy(table)
        table.registry.remove(FIRST)
        assert isinstance(ask(table, ResumeRequested(9, invocation.id, "keep")), UnknownDeployment)
        assert table.status(invocation) is Status.PAUSED
        assert ask(table, ResumeRequested(10, invocation.id, "latest")) == Done(True)

    def test_where_the_service_is_of_another_kind_it_is_refused(self, table: Table) -> None:
        invocation = table.begin("Counter/ada/add")
        ask(table, PauseRequested(8, invocation.id))
        deploy(table, ServiceManifest(name="Counter", ty="WORKFLOW", handlers=[HandlerManifest(name="add")]))
        refused = ask(table, ResumeRequested(9, invocation.id, "latest"))
        assert isinstance(refused, UsageError)
        assert "a workflow in dp_second, and was a virtual object" in str(refused)


class TestRestart:
    @pytest.mark.parametrize("deployment", ["keep", FIRST])
    def test_of_what_never_began_it_is_pinned_with_the_version(self, table: Table, deployment: str) -> None:
        answer = ask(table, RestartRequested(9, ended_unbegun(table).id, 0, deployment))
        again = restarted(table, answer)
        assert (again.deployment_id, again.protocol_version) == (FIRST, 7)

    @pytest.mark.parametrize("from_entry", [0, 2])
    def test_where_it_was_it_is_resolved_there(self, table: Table, from_entry: int) -> None:
        invocation = ended(table)
        deploy(table, ServiceManifest(name="Other", ty="SERVICE", handlers=[HandlerManifest(name="greet")]))
        again = restarted(table, ask(table, RestartRequested(9, invocation.id, from_entry, "keep")))
        assert (again.deployment_id, again.protocol_version) == (FIRST, 7)

    @pytest.mark.parametrize("from_entry", [0, 2])
    def test_where_it_was_and_that_is_gone_it_is_refused(self, table: Table, from_entry: int) -> None:
        invocation = ended(table)
        deploy(table)
        table.registry.remove(FIRST)
        assert isinstance(ask(table, RestartRequested(9, invocation.id, from_entry, "keep")), UnknownDeployment)
        assert isinstance(ask(table, RestartRequested(10, invocation.id, from_entry, "latest")), Accepted)

    def test_where_it_was_and_the_handler_is_gone_it_is_refused(self, table: Table) -> None:
        invocation = ended(table)
        deploy(table)
        other = ServiceManifest(name="Greeter", ty="SERVICE", handlers=[HandlerManifest(name="bow")])
        was = table.registry.deployments[FIRST]
        table.registry.put(replace(was, manifest=replace(MANIFEST, services=[other]), revisions={"Greeter": 1}))
        assert isinstance(ask(table, RestartRequested(9, invocation.id, 0, "keep")), UnknownTarget)

    def test_where_it_was_though_that_is_being_drained_it_runs(self, table: Table) -> None:
        invocation = ended(table)
        table.registry.put(replace(table.registry.deployments[FIRST], draining=True))
        again = restarted(table, ask(table, RestartRequested(9, invocation.id, 0, "keep")))
        assert again.deployment_id == FIRST

    def test_only_a_journal_that_is_taken_over_binds_it_to_a_version(self, table: Table) -> None:
        invocation = ended(table, version=5)
        deploy(table, versions=(6, 7))
        for deployment in (SECOND, "latest"):
            refused = ask(table, RestartRequested(9, invocation.id, 2, deployment))
            assert isinstance(refused, UsageError)
            assert "version 5 of the service protocol" in str(refused)
            assert isinstance(ask(table, RestartRequested(10, invocation.id, 0, deployment)), Accepted)

    @pytest.mark.parametrize(
        "now",
        [
            ServiceManifest(name="Greeter", ty="VIRTUAL_OBJECT", handlers=[HandlerManifest(name="greet")]),
            ServiceManifest(name="Greeter", ty="WORKFLOW", handlers=[HandlerManifest(name="greet", ty="SHARED")]),
        ],
    )
    @pytest.mark.parametrize("deployment", [SECOND, "latest"])
    def test_where_the_service_is_of_another_kind_it_is_refused(
        self, table: Table, now: ServiceManifest, deployment: str
    ) -> None:
        invocation = ended(table)
        deploy(table, now)
        assert isinstance(ask(table, RestartRequested(9, invocation.id, 0, deployment)), UsageError)
        assert table.reader.invocation(invocation.number + 1) is None
