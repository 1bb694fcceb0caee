"""As what a run's result is read back: as the action's return annotation says, whatever else is annotated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.testing import Harness

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


@dataclass
class Receipt:
    amount: int


def charge(amount: Decimal) -> Receipt:
    return Receipt(int(amount))


async def charge_soon(amount: Decimal) -> Receipt:
    return Receipt(int(amount))


class Till:
    def charge(self, amount: Decimal) -> Receipt:
        return Receipt(int(amount))


def looked_up(amount: int) -> Mapping[str, int]:
    return {"amount": amount}


async def result_of(action: Any) -> Any:
    service = perdure.Service("Shop")
    seen: list[Any] = []

    @service.handler()
    async def sell(ctx: perdure.Context) -> None:
        seen.append(await ctx.run_typed("charge", action, perdure.RunOptions(), 7))

    async with Harness(service) as h:
        await h.call(sell)
    return seen[0]


@pytest.mark.parametrize("action", [charge, charge_soon, Till().charge, partial(charge)])
async def test_a_parameter_type_for_type_checkers_alone_does_not_take_the_results_type(action: Any) -> None:
    assert await result_of(action) == Receipt(7)


async def test_a_result_type_for_type_checkers_alone_gives_plain_json() -> None:
    assert await result_of(looked_up) == {"amount": 7}


async def test_a_result_type_of_the_enclosing_function_is_known() -> None:
    @dataclass
    class Slip:
        amount: int

    def charge(amount: int) -> Slip:
        return Slip(amount)

    assert await result_of(charge) == Slip(7)
