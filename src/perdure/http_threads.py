"""Programs that used the HTTP client end with the exit code that they should.

pyqwest's threads wake an event loop by `call_soon_threadsafe`, in which they let go of the GIL and ask for it back. Who
asks while the interpreter ends has its thread killed by CPython (before 3.14), in the midst of Rust code, which aborts
the process: exit code 134, after all work was done, in half of the programs that end right after an answer.
"""

import atexit
import sys
import time
from functools import cache
from typing import Final

PAUSE_S: Final = 0.05
"""What a thread needs that waits for nothing but the GIL: 1 ms was enough in all of 60 runs."""


@cache
def let_out_at_exit() -> None:
    """Have the process pause at its end, without the GIL, before the interpreter takes itself apart."""
    if sys.version_info < (3, 14):
        atexit.register(time.sleep, PAUSE_S)
