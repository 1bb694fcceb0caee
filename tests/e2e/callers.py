"""Callers who do as callers should: each call has an idempotency key, and who gets no answer asks again."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyqwest
import pytest

LOST = (OSError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError, pyqwest.StreamError)


@dataclass
class Callers:
    """Asks the router, so many at a time. `answers` is by question, and has invocation id and text."""

    ingress: str
    in_flight: int
    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked_again: int = 0
    stopped: bool = False

    async def keep_asking(self) -> None:
        """New questions, until `stopped`; each is asked until it is answered."""
        async with pyqwest.HTTPTransport(enable_otel=False) as transport:
            client = pyqwest.Client(transport)
            numbers = iter(range(10**9))

            async def caller() -> None:
                while not self.stopped:
                    question = f"question {next(numbers)}"
                    self.answers[question] = await self._ask(client, question)

            async with asyncio.TaskGroup() as callers:
                for _ in range(self.in_flight):
                    callers.create_task(caller())

    async def ask_all(self, questions: Iterable[str]) -> dict[str, tuple[str, str]]:
        """These questions, each once more if need be."""
        async with pyqwest.HTTPTransport(enable_otel=False) as transport:
            client = pyqwest.Client(transport)
            left, answers = iter(questions), dict[str, tuple[str, str]]()

            async def caller() -> None:
                for question in left:
                    answers[question] = await self._ask(client, question)

            async with asyncio.TaskGroup() as callers:
                for _ in range(self.in_flight):
                    callers.create_task(caller())
            return answers

    async def _ask(self, client: pyqwest.Client, question: str) -> tuple[str, str]:
        body = json.dumps({"message": question}).encode()
        headers = {"content-type": "application/json", "idempotency-key": question}
        while True:
            try:
                response = await client.post(f"{self.ingress}/RemoteAgentRouter/answer", headers, body)
            except LOST:
                self.asked_again += 1
                await asyncio.sleep(0.1)  # as a caller would: the engine is being started again
                continue
            if response.status == 200:
                return response.headers["x-restate-id"], json.loads(response.content)
            if response.status != 503:
                pytest.fail(f"{question}: {response.status} {response.text()}")
            await asyncio.sleep(0.1)
