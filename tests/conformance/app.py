"""All services as one endpoint, for `perdure` and for any ASGI server."""

from tests.conformance.hardships import services as hardships
from tests.conformance.services import sdk, services

app = sdk.app([*services, *hardships])
