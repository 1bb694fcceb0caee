"""Every sample of this integration's page runs."""

from tests.ext.pages import Samples


class TestSamples(Samples):
    ENVIRONMENT = "litellm"
