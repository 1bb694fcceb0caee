"""The demo's story: agents answer, the engine is killed in the middle, the work goes on, nothing is done twice."""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec
import pyqwest

from perdure.demo.hit_rate import measure
from perdure.demo.model import CountedModel
from perdure.demo.questions import SAMPLES
from perdure.demo.screen import Screen
from perdure.demo.stage import Actor, Stage, StageError, port_or_free
from perdure.llm.chat import Reply
from perdure.testing.recorded import Step, check_integrity, read_steps

SPECIALISTS = {"billing_agent": 9081, "account_agent": 9082, "product_agent": 9083}
ROUTER, ROUTER_PORT = "router", 9080
INGRESS_PORT, ADMIN_PORT = 8080, 9070
ANSWER_S = 60.0


_JSON = {"content-type": "application/json"}


def run_tour(screen: Screen, *, stay: Callable[[], None] | None) -> list[str]:
    """Plays it, and gives what did not hold. `stay` is called while all is still up, after a good end.

    Raises:
        PerdureError: something did not even start.
    """
    screen.title("perdure: agents that survive", "Real processes, a real model, one engine, one SQLite file.")
    with screen.waiting("loading the model"):
        model = CountedModel()
    wanted = {"ingress": INGRESS_PORT, "admin": ADMIN_PORT, ROUTER: ROUTER_PORT, **SPECIALISTS}
    ports = {name: port_or_free(port) for name, port in wanted.items()}
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as folder, Stage(Path(folder), model.base_url) as stage:
        tour = Tour(screen, stage, model, ports)
        tour.play()
        if stay is not None and not tour.failures:
            tour.invite()
            stay()
    return tour.failures


@dataclass
class Tour:
    """One performance. `failures` is what did not hold."""

    screen: Screen
    stage: Stage
    model: CountedModel
    ports: Mapping[str, int]
    failures: list[str] = field(default_factory=list[str])

    def play(self) -> None:
        """All scenes."""
        self._start()
        self.screen.scene("1. A question: the router picks a specialist and calls it")
        self._one_question(SAMPLES[0][0])
        self.screen.scene("2. Two more, and the engine dies in the middle: kill -9")
        self._killed_in_the_middle([question for question, _ in SAMPLES[1:]])
        self.screen.scene("3. How good are the decisions? 30 questions that the model has never seen")
        self._hit_rate()
        self.screen.plain("")
        if self.failures:
            self.screen.alarm(f"{len(self.failures)} of the promises above did not hold.")

    def invite(self) -> None:
        """Says what can be tried by hand."""
        self.screen.scene("All of it stays up: try it, Ctrl-C ends it")
        url = f"localhost:{self.ports['ingress']}/RemoteAgentRouter/answer"
        self.screen.plain(
            f"""  curl {url} --json '{{"message": "I was charged twice for my subscription last month"}}'"""
        )
        self.screen.plain(
            f"  kill -9 {self._engine.process.pid}    # the engine; while a question is being answered, say"
        )
        self.screen.plain(f"  perdure {self._engine.command.removeprefix('perdure ')}    # and its return")

    def _start(self) -> None:
        self.screen.note(f"Model: {self.model.name}. It counts who asks it for what.")
        with self.screen.waiting("starting five processes"):
            self._engine = self._up()
            for name in (*SPECIALISTS, ROUTER):
                actor = self.stage.serve(f"remote_agents.{name}:app", port=self.ports[name])
                self.screen.started(actor.command, actor.addresses["services"])
                self.stage.register(self._engine, actor)

    def _up(self) -> Actor:
        engine = self.stage.up(self.ports["ingress"], self.ports["admin"])
        self.screen.started(engine.command.split(" --data-dir")[0], f"ingress {engine.addresses['ingress']}")
        return engine

    def _one_question(self, question: str) -> None:
        self.screen.asked(question)
        with self.screen.waiting("deciding, then answering"):
            answer = self._ask(question)
        self._show(question, answer)

    def _killed_in_the_middle(self, questions: list[str]) -> None:
        with ThreadPoolExecutor(len(questions)) as callers:
            calls_before = len(self.model.log.calls)
            lost = [callers.submit(self._ask_once, question) for question in questions]
            for question in questions:
                self.screen.asked(question)
            with self.screen.waiting("until a specialist is thinking"):
                self._wait_for_a_specialist(calls_before)
            self._engine.kill()
            recorded = {step.key for step in read_steps(self.stage.database) if step.recorded}
            self.screen.alarm(f"kill -9 {self._engine.process.pid}: the engine is gone while a specialist is thinking")
            self._wait_for_broken_calls(lost)
            self.screen.note("The callers lost their connections. They ask again, with the same idempotency keys.")
            self._engine = self._up()
            answers = list(callers.map(self._ask, questions))
            for question, answer in zip(questions, answers, strict=True):
                self._show(question, answer)
            again = list(callers.map(self._ask, questions))
        self._audit(recorded)
        self._expect(again == answers, "asked once more, each question gets the same answer")

    def _wait_for_a_specialist(self, calls_before: int) -> None:
        deadline = time.monotonic() + ANSWER_S
        while not any(not call.has_tools for call in self.model.log.calls[calls_before:]):
            if time.monotonic() > deadline:
                raise StageError(f"no specialist asked the model within {ANSWER_S:.0f} s")
            time.sleep(0.002)

    def _wait_for_broken_calls(self, lost: "list[Future[tuple[str, str] | None]]") -> None:
        for call in lost:
            call.result(ANSWER_S)

    def _audit(self, recorded: set[str]) -> None:
        steps = read_steps(self.stage.database)
        counts = self.model.log.count_by_key()
        self.screen.steps([(step, step.key in recorded, counts[step.key]) for step in steps])
        self.screen.plain("")
        twice = [step for step in steps if step.key in recorded and counts[step.key] != 1]
        never = [step for step in steps if not step.recorded or counts[step.key] == 0]
        self._expect(bool(recorded), f"{len(recorded)} steps were recorded before the kill")
        self._expect(not twice, "no model call whose result was recorded was made twice")
        self._expect(not never, "every step ran, and its result is recorded now")
        self._expect(check_integrity(self.stage.database) == "ok", "the store's file is sound")

    def _hit_rate(self) -> None:
        with self.screen.waiting("deciding 30 times"):
            started = time.monotonic()
            hits, misses = asyncio.run(measure(self.model.endpoint))
            each_ms = (time.monotonic() - started) / (hits + len(misses)) * 1000
        self.screen.plain(f"  {hits} of {hits + len(misses)} routed right, {each_ms:.0f} ms each")
        for question, expected, picked in misses:
            self.screen.note(f"missed: {question} → {picked}, not {expected}")

    def _ask(self, question: str) -> tuple[str, str]:
        """An answer that came, with the id of the invocation; asks again while the engine is away."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            answer = self._ask_once(question)
            if answer is not None:
                return answer
            time.sleep(0.1)
        raise StageError(f"no answer within {ANSWER_S:.0f} s to: {question}")

    def _ask_once(self, question: str) -> tuple[str, str] | None:
        url = f"http://127.0.0.1:{self.ports['ingress']}/RemoteAgentRouter/answer"
        headers = {**_JSON, "idempotency-key": question}
        try:
            response = _http().post(url, headers, json.dumps({"message": question}).encode(), timeout=ANSWER_S)
        except (OSError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError):
            return None
        if response.status == 503:
            return None
        if response.status != 200:
            raise StageError(f"the router answered {response.status}: {response.text()}")
        return response.headers.get("x-restate-id", ""), str(json.loads(response.content))

    def _show(self, question: str, answer: tuple[str, str]) -> None:
        invocation_id, text = answer
        specialist = _picked(read_steps(self.stage.database), invocation_id)
        self.screen.decided(question, specialist)
        self.screen.answered(specialist, text)

    def _expect(self, holds: bool, claim: str) -> None:
        self.screen.verdict(holds, claim)
        if not holds:
            self.failures.append(claim)


def _picked(steps: list[Step], invocation_id: str) -> str:
    """The router's decision, as its journal has it."""
    for step in steps:
        if step.invocation_id == invocation_id and step.result is not None:
            calls = msgspec.json.decode(step.result, type=Reply).tool_calls
            return calls[0].function.name if calls else "the router itself"
    return "nobody"


@cache
def _http() -> pyqwest.SyncClient:
    return pyqwest.SyncClient(pyqwest.SyncHTTPTransport(enable_otel=False))
