"""The store: one SQLite file. `writer` commits batches, `reader` answers questions, `schema.sql` says what is there."""
