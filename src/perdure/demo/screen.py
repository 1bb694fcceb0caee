"""How the demo looks: a few marks and colours on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from perdure.testing.recorded import Step

WIDTH_MAX = 100


class Screen:
    """Prints the demo's scenes."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._console.width = min(self._console.width if sys.stdout.isatty() else WIDTH_MAX, WIDTH_MAX)

    def title(self, text: str, below: str) -> None:
        self._console.print()
        self._console.print(Text(text, "bold"))
        self._console.print(Text(below, "dim"))

    def scene(self, text: str) -> None:
        self._console.print()
        if self._console.is_terminal:
            self._console.print(Rule(Text(text, "bold cyan"), align="left", style="cyan"))
        else:
            self._console.print(f"== {text}")

    def started(self, command: str, where: str) -> None:
        self._console.print(Text.assemble(("  $ ", "dim"), command, ("  ", ""), (where, "cyan")), soft_wrap=True)

    def note(self, text: str) -> None:
        self._indented(Text(text, "dim"), 2)

    def alarm(self, text: str) -> None:
        self._indented(Text(text, "bold red"), 2)

    def asked(self, question: str) -> None:
        self._console.print(Text.assemble(("  ? ", "bold cyan"), (question, "bold")))

    def decided(self, question: str, specialist: str) -> None:
        self._console.print(Text.assemble(("  → ", "magenta"), (specialist, "magenta"), ("  for: " + question, "dim")))

    def answered(self, specialist: str, answer: str) -> None:
        self._indented(Text.assemble((f"{specialist}: ", "magenta"), answer), 4)
        self._console.print()

    def steps(self, steps: list[tuple[Step, bool, int]]) -> None:
        """Each step, whether it was in the store when the engine died, and how often the model was asked for it."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for heading in ("agent", "step", "recorded before the kill", "model calls"):
            table.add_column(heading)
        for step, recorded, calls in steps:
            again = recorded and calls != 1
            mark = Text("yes", "green") if recorded else Text("no", "dim")
            table.add_row(step.service, step.name, mark, Text(str(calls), "bold red" if again else ""))
        self._console.print(table)

    def verdict(self, holds: bool, text: str) -> None:
        mark = ("  ✓ ", "bold green") if holds else ("  ✗ ", "bold red")
        self._console.print(Text.assemble(mark, text))

    def _indented(self, text: Text, columns: int) -> None:
        self._console.print(Padding(text, (0, 0, 0, columns), expand=False))

    @contextmanager
    def waiting(self, text: str) -> Generator[None]:
        """While something takes its time, a terminal shows that it is alive."""
        if self._console.is_terminal:
            with self._console.status(Text(text, "dim")):
                yield
        else:
            yield

    def plain(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)
