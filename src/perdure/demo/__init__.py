"""`perdure demo`: real processes and a real model on a stage, an engine killed in the middle of the play."""
