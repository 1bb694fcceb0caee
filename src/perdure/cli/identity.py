"""`perdure identity`: the keys with which an engine signs its requests to services."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Keys that an engine signs its requests with, and that services know it by.", no_args_is_help=True
)

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A file for the private key, such as key.pem.")]


@app.command()
def new(file: KeyFile) -> None:
    """Make a key, in a file that only you can read, and print its public half: the one that services are given."""
    from perdure.key_files import write_new_key

    print(write_new_key(file).identity_key)


@app.command()
def show(file: KeyFile) -> None:
    """Print the public half of a key."""
    from perdure.key_files import read_key

    print(read_key(file).identity_key)
