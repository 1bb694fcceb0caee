"""What a harness serves: services, with fakes in place of the handlers that a test scripts."""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from typing import Any

from perdure.sdk.definition import HandlerDefinition, ServiceDefinition, handler_of
from perdure.sdk.endpoint import Endpoint
from perdure.sdk.progress import Clock
from perdure.testing.fakes import Fails, Fake, Kind, unknown_handler


def listed(
    services: Endpoint | ServiceDefinition | Iterable[ServiceDefinition], more: Iterable[ServiceDefinition]
) -> list[ServiceDefinition]:
    """Services as a test may give them: one after the other, in a list, or as what `perdure.app` returned."""
    match services:
        case Endpoint():
            return [*services.services, *more]
        case ServiceDefinition():
            return [services, *more]
        case _:
            return [*services, *more]


class Served:
    """`endpoint` serves it as it is now. `stale`: a fake brought a handler that the engine does not know yet."""

    def __init__(self, services: Iterable[ServiceDefinition], clock: Clock) -> None:
        self.services = [*services]
        self.fakes: list[Fake] = []
        self.stale = False
        self.endpoint = Endpoint(self.services, clock=clock)
        self._clock = clock

    def fake(self, handler: Callable[..., Any] | str, returns: Any, fails: Fails, kind: Kind) -> Fake:
        """Puts a script in place of a handler; `kind` is what its service is, where nothing here knows it."""
        definition = self._definition(handler, kind)
        fake = Fake(definition.target, returns, fails)
        self._install(definition, fake)
        return fake

    def _definition(self, handler: Callable[..., Any] | str, kind: Kind) -> HandlerDefinition:
        if not isinstance(handler, str):
            return handler_of(handler)
        for service in self.services:
            for each in service.handlers.values():
                if each.target == handler:
                    return each
        return unknown_handler(handler, kind)

    def _install(self, definition: HandlerDefinition, fake: Fake) -> None:
        """Serves a fake in place of the handler, if there is one."""

        async def run(ctx: Any, *arguments: Any) -> Any:
            return await fake.run(ctx, *arguments)

        scripted = replace(definition, fn=run, is_async=True, invocation_context_managers=())
        known = next((each for each in self.services if each.name == definition.service.name), None)
        if known is None:
            service = ServiceDefinition.__new__(ServiceDefinition)
            service.service_tag, service.kind = definition.service, definition.service.kind
            service.handlers = {}
        else:
            service = copy(known)
        self.stale = self.stale or definition.name not in service.handlers
        service.handlers = {**service.handlers, definition.name: scripted}
        self.services = [*(each for each in self.services if each is not known), service]
        self.endpoint = Endpoint(self.services, clock=self._clock)
        self.fakes = [*(each for each in self.fakes if each.target != fake.target), fake]
