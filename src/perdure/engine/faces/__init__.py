"""What servers and embedders see of an engine, a face for each kind of thing: `engine.invocations`, `engine.rules`."""
