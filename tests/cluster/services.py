"""What the cluster runs. Its attempts and steps leave lines in a file, so that a test sees what was done how often.

began ATTEMPT JOB
ran   ATTEMPT JOB STEP TOKEN      a step's side effect
saw   ATTEMPT JOB STEP TOKEN      its result, which is recorded by then
"""

import os
from datetime import timedelta
from functools import cache
from typing import TypedDict
from uuid import uuid4

import perdure

STEPS = 4

work = perdure.Service("Work")
tally = perdure.VirtualObject("Tally")


class Job(TypedDict):
    """What is to be done: it has a name, sleeps in the middle, and is counted."""

    name: str
    sleep_ms: int
    counter: str


@cache
def diary() -> int:
    return os.open(os.environ["CLUSTER_DIARY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(*words: object) -> None:
    os.write(diary(), (" ".join(map(str, words)) + "\n").encode())  # one write: lines never mix


@work.handler()
async def do(ctx: perdure.Context, job: Job) -> tuple[list[str], int]:
    """The tokens of its steps, and the number that it was given by a counter."""
    attempt = uuid4().hex
    note("began", attempt, job["name"])
    tokens: list[str] = []
    number = 0
    for step in range(STEPS):

        def leave_a_token(step: int = step) -> str:
            token = uuid4().hex
            note("ran", attempt, job["name"], step, token)
            return token

        tokens.append(await ctx.run_typed(f"step {step}", leave_a_token))
        note("saw", attempt, job["name"], step, tokens[-1])
        if step == 0:
            await ctx.sleep(timedelta(milliseconds=job["sleep_ms"]))
        elif step == 1:
            number = await ctx.object_call(add, job["counter"], job["name"])
    return tokens, number


@tally.handler()
async def add(ctx: perdure.ObjectContext, job: str) -> int:
    jobs = [*(await ctx.get("jobs", type_hint=list[str]) or []), job]
    ctx.set("jobs", jobs)
    ctx.set("total", (await ctx.get("total", type_hint=int) or 0) + 1)
    return len(jobs)


@tally.handler(kind="shared")
async def counted(ctx: perdure.ObjectSharedContext) -> tuple[int, list[str]]:
    return await ctx.get("total", type_hint=int) or 0, await ctx.get("jobs", type_hint=list[str]) or []


app = perdure.app([work, tally])
