"""What there is to find in a city. In place of the sentences, ask the services that know."""


def find_flights(city: str) -> str:
    """Find flights to a city."""
    return f"Flights to {city}: 7:30 and 18:10, 120 each"


def find_hotels(city: str) -> str:
    """Find hotels in a city."""
    return f"Hotels in {city}: the Old Mill, 90 a night"


def find_events(city: str) -> str:
    """Find events in a city."""
    return f"Events in {city}: a concert in the park on Saturday"
