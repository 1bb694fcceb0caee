"""Services for the tests of the endpoint under real servers; `app` and `mounted` are what the servers are given."""

from datetime import timedelta

from starlette.applications import Starlette
from starlette.routing import Mount

import perdure
from perdure import Context

greeter = perdure.Service("Greeter")
unwound: list[str] = []


@greeter.handler()
async def echo(ctx: Context, text: str) -> str:
    return text


@greeter.handler()
def echo_plain(ctx: Context, text: str) -> str:
    return text


@greeter.handler()
async def nap(ctx: Context) -> str:
    try:
        await ctx.sleep(timedelta(hours=1))
        return "rested"
    finally:
        unwound.append(ctx.request().id)


@greeter.handler()
async def times_unwound(ctx: Context) -> int:
    return len(unwound)


@greeter.handler()
async def header(ctx: Context, name: str) -> str | None:
    return ctx.request().attempt_headers.get(name)


app = perdure.app([greeter])
mounted = Starlette(routes=[Mount("/deep/er", app)])
