"""Handlers of every kind that answer at once, whatever they are given: what the generated requests call."""

from typing import Literal

from pydantic import BaseModel, Field

import perdure
from perdure import ObjectContext, ObjectSharedContext, Service, VirtualObject, Workflow, WorkflowContext

shop = Service("Shop")
cart = VirtualObject("Cart")
order = Workflow("Order")


class Item(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    amount: int = Field(ge=1, le=100)
    size: Literal["s", "m", "l"] | None = None


class Price(BaseModel):
    cents: int
    of: Item


@shop.handler()
async def price(ctx: perdure.Context, item: Item) -> Price:
    return Price(cents=100 * item.amount, of=item)


@shop.handler()
async def open_hours(ctx: perdure.Context) -> dict[str, list[int]]:
    return {"monday": [8, 18]}


@shop.handler()
async def refund(ctx: perdure.Context, amount: int) -> None:
    raise perdure.TerminalError(f"no refund of {amount}", status_code=402)


@cart.handler()
async def put(ctx: ObjectContext, item: Item) -> int:
    count = (await ctx.get("count", type_hint=int) or 0) + item.amount
    ctx.set("count", count)
    return count


@cart.handler(kind="shared")
async def count(ctx: ObjectSharedContext) -> int:
    return await ctx.get("count", type_hint=int) or 0


@order.main()
async def run(ctx: WorkflowContext, items: list[Item]) -> int:
    return sum(item.amount for item in items)


app = perdure.app([shop, cart, order])
