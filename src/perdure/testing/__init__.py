"""For tests of durable handlers: a harness with virtual time, fakes, journals to assert on; and, in `model`, a scripted
model."""

from perdure.testing.fakes import Fake, FakeCall
from perdure.testing.harness import Harness
from perdure.testing.journal import Entry, Journal
from perdure.testing.virtual_time import StandsStill

__all__ = ["Entry", "Fake", "FakeCall", "Harness", "Journal", "StandsStill"]
