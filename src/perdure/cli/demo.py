"""`perdure demo`: the two-minute tour, which stays up afterwards to be played with."""

import signal

import typer

from perdure.cli.exits import Exit
from perdure.demo.screen import Screen
from perdure.demo.tour import run_tour


def demo(*, once: bool) -> None:
    """Plays the tour; exits with 1 if anything that it promises did not hold."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: its processes are ended, its folder removed
    try:
        failures = run_tour(Screen(), stay=None if once else signal.pause)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.DONE) from None
    raise typer.Exit(Exit.FAILED if failures else Exit.DONE)
