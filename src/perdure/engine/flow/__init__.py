"""Flow control: who may run now, who waits for what, and how many may wait. Pure: no clock and no I/O."""
