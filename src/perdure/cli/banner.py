"""What a serving command says once it is ready: plain lines for a program that reads them, coloured for a person.

perdure 0.1.0 is up
  ingress   http://127.0.0.1:8080
  admin     http://127.0.0.1:9070
"""

import sys
from collections.abc import Sequence

from perdure.version import __version__


def show_banner(title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Prints it to stdout at once, unbuffered: whoever started the command may wait for it."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        console.print(Text.assemble((f"perdure {__version__}", "bold green"), f" {title}"))
        for name, value in lines:
            console.print(Text.assemble((f"  {name:<10}", "dim"), (value, "cyan" if "://" in value else "")))
    else:
        print(f"perdure {__version__} {title}")
        for name, value in lines:
            print(f"  {name:<10}{value}")
    sys.stdout.flush()
