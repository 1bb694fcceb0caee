"""SQL over what the engine holds: `tables` says what there is, `translation` makes SQLite's SQL of it, `worker` runs it
in a process of its own, `queries` gives that process its questions."""
