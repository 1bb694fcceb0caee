"""Callers who never give up: each job is asked for, at one node after the other, until an answer comes."""

import asyncio
import itertools
import time
from collections.abc import Sequence

import httpx
from msgspec import Struct

from tests.cluster.services import Job

AT_ONCE = 16
COUNTERS = 5
ANSWER_WITHIN_S = 60.0
ASK_AGAIN_AFTER_S = 10.0
MAY_PASS = (404,)  # a node that is just back takes calls before it knows the services
SLEEPS_MS = (50, 400, 1500)  # the longest outlive a node


class Answer(Struct, frozen=True):
    """What came of a job: the tokens of its steps, and its number at the counter."""

    tokens: list[str]
    number: int
    counter: str


class Load:
    """Calls and sends without end, until `stop`. `answers` are by job."""

    def __init__(self, ingresses: Sequence[str]) -> None:
        self.answers: dict[str, Answer] = {}
        self._ingresses = ingresses
        self._numbers = itertools.count()
        self._answered = asyncio.Event()
        self._stopped = False

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=AT_ONCE * len(self._ingresses))
        async with (
            httpx.AsyncClient(timeout=ASK_AGAIN_AFTER_S, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(AT_ONCE):
                group.create_task(self._caller(client))

    def stop(self) -> None:
        """What was begun is still answered."""
        self._stopped = True

    async def answered(self, more: int) -> None:
        """Returns when so many more have been."""
        wanted = len(self.answers) + more
        while len(self.answers) < wanted:
            self._answered.clear()
            await self._answered.wait()

    async def _caller(self, client: httpx.AsyncClient) -> None:
        while not self._stopped:
            number = next(self._numbers)
            job, counter = f"job-{number}", f"counter-{number % COUNTERS}"
            body = Job(name=job, sleep_ms=SLEEPS_MS[number % len(SLEEPS_MS)], counter=counter)
            if number % 2:
                answer = await self._ask(client, number, "POST", "/Work/do", body, job)
            else:
                sent = await self._ask(client, number, "POST", "/Work/do/send", body, job)
                path = f"/restate/invocation/{sent.json()['invocationId']}/attach"
                answer = await self._ask(client, number + 1, "GET", path)
            tokens, place = answer.json()
            self.answers[job] = Answer(tokens, place, counter)
            self._answered.set()

    async def _ask(
        self, client: httpx.AsyncClient, first: int, method: str, path: str, body: object = None, key: str | None = None
    ) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        deadline = time.monotonic() + ANSWER_WITHIN_S
        for turn in itertools.count(first):
            ingress = self._ingresses[turn % len(self._ingresses)]
            try:
                answer = await client.request(method, f"{ingress}{path}", json=body, headers=headers)
                if answer.is_success:
                    return answer
                said = f"{answer.status_code} {answer.text}"
                assert answer.status_code in MAY_PASS or answer.status_code >= 500, f"{path} at {ingress}: {said}"
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < deadline, f"{path} was not answered within {ANSWER_WITHIN_S} s; last, {said}"
            await asyncio.sleep(0.02)
        raise AssertionError("no end")
