-- From version 3: an invocation that took over a journal draws the random numbers that are in it.

alter table invocation add column seeded_by text;
