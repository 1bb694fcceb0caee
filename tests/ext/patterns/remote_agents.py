"""A router calls a specialist that is a service."""

from tests.ext.patterns.local_agents import ANSWER, QUESTION, script
from tests.ext.patterns.pattern import Pattern

PATTERN = Pattern("remote_agents", "RemoteAgentRouter/answer", QUESTION, ANSWER, script)
