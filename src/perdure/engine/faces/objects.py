"""The state of virtual objects and workflows, as operators read and replace it."""

from collections.abc import Mapping

from perdure.engine.answers import Done
from perdure.engine.events import StatePatched
from perdure.engine.faces.ask import Ask
from perdure.engine.invocation import Status
from perdure.engine.keys import Key
from perdure.engine.ledger import Ledger
from perdure.engine.mutation import Mutation, state_version
from perdure.errors import Conflict, UsageError
from perdure.protocol.ids import workflow_invocation_id
from perdure.protocol.scopes import check_scope


class Objects:
    """All objects of an engine."""

    def __init__(self, ledger: Ledger, ask: Ask) -> None:
        self._ledger = ledger
        self._ask = ask

    def state(self, service: str, key: str, scope: str | None = None) -> dict[str, bytes]:
        """An object's state by name, as it is committed. Raises like `replace_state`."""
        entries = self._ledger.reader.state(self._key(service, key, scope), 2**62)[0]
        return {name.decode(errors="replace"): value for name, value in entries}

    async def replace_state(
        self,
        service: str,
        key: str,
        state: Mapping[str, bytes],
        *,
        version: str | None = None,
        scope: str | None = None,
    ) -> None:
        """Replace an object's whole state, as soon as no exclusive handler has its key.

        `version`: only if the state still is the one that this names. Where the key is taken, that is looked at when
        its turn comes, and what no longer fits is left out with a warning in the log.

        Raises:
            UnknownTarget: no deployment has the service.
            UsageError: a plain service has no state; or the scope is malformed.
            Conflict: the state is another version, or a workflow's that is running.
        """
        object_key = self._key(service, key, scope)
        if self._ledger.registry.service(service).manifest.ty == "WORKFLOW":
            run = self._ledger.find(workflow_invocation_id(service, key, scope))
            if run is not None and run.status is not Status.COMPLETED:
                raise Conflict(f"workflow {service}/{key} is {run.status}: its state is its own until it has ended")
        mutation = Mutation(dict(state), version).encode()
        answer = await self._ask(lambda request: StatePatched(request, object_key, mutation))
        assert isinstance(answer, Done)
        if not answer.done:
            now = state_version(self._ledger.state.of(object_key))
            raise Conflict(f"the state of {service}/{key} is not version {version} any more, but {now}: read it again")

    def _key(self, service: str, key: str, scope: str | None) -> Key:
        check_scope(scope, None)
        if self._ledger.registry.service(service).manifest.ty == "SERVICE":
            raise UsageError(f"{service} is a plain service: only virtual objects and workflows have state")
        return scope or "", service, key
