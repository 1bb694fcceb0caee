"""Agents as people write them: an adapter for each framework, over the narrowest seam that it offers.

The modules here are what the adapters share: how a model call, a tool call and a list of messages are recorded. They
can be used for any other SDK as well; docs/integrations/any-llm-sdk.md does it in ten lines.
"""
