"""Two services that take only requests signed with one of `IDENTITY_KEYS`, on the SDK that `CONFORMANCE_SDK` names."""

import os
from importlib import import_module
from typing import Any

sdk: Any = import_module(os.environ.get("CONFORMANCE_SDK", "perdure"))

greeter = sdk.Service("Greeter")
counter = sdk.VirtualObject("Counter")


@greeter.handler()
async def greet(ctx: Any, name: str) -> str:
    return f"hello {name}"


@counter.handler()
async def add(ctx: Any, amount: int) -> str:
    return f"{ctx.key()}: {amount}"


services = [greeter, counter]
app = sdk.app(services, identity_keys=os.environ.get("IDENTITY_KEYS", "").split() or None)
