"""Bookings, of which the last fails for good: those before it are undone, last first."""

from perdure.testing.model import ChatRequest, Reply
from saga import bookings
from tests.ext.patterns.pattern import Pattern, Play
from tests.ext.patterns.saying import calling


def script(request: ChatRequest) -> Reply:
    booked = len(request.results)
    if booked == 3:
        return Reply("All is booked.")
    destination = "Zermatt" if "Zermatt" in str(request.messages) else "Lisbon"
    return calling(request, ["book_flight", "book_hotel", "book_car"][booked], destination=destination)


async def see_what_is_left(play: Play) -> None:
    trip = play.harness.invocations("Trip/book")[-1]
    await play.harness.outcome(trip.id)
    calls = {call.run_key: call for call in bookings.cancel.calls}  # type: ignore[attr-defined]  # a spy
    undone = [call.arguments[0] for call in calls.values() if call.invocation_id == trip.id]
    assert [what for what in undone if what != "car"] == ["hotel", "flight"]


PATTERN = Pattern(
    "saga",
    "Trip/book",
    "To Zermatt",
    None,
    script,
    fails="no car in Zermatt",
    meanwhile=see_what_is_left,
    spied=("saga.bookings.reserve", "saga.bookings.cancel"),
)
BOOKED = Pattern(
    "saga",
    "Trip/book",
    "To Lisbon",
    "All is booked.",
    script,
    variant="booked",
    spied=("saga.bookings.reserve", "saga.bookings.cancel"),
)
