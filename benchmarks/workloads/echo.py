"""Echo: one invocation that does nothing: what being durable costs at the least."""

from types import ModuleType
from typing import Any


def services(sdk: ModuleType) -> list[Any]:
    """A service whose handler gives back what it gets."""
    service = sdk.Service("Echo")

    @service.handler()
    async def echo(ctx: sdk.Context, message: str) -> str:
        return message

    return [service]
