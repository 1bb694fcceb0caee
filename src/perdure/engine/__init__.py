"""The engine: one writer that turns events into rows and effects, and the shells that carry them out."""
