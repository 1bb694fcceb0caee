"""State from engine to engine, through a file: `perdure export` and `perdure import`."""
