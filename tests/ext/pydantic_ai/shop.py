"""An MCP server with a shop's tools, or with one that is named. It writes down its start, and what is called."""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

diary = Path(sys.argv[1])
server = MCPServer("shop", instructions="Prices are in euros.", log_level="WARNING")


def note(what: str) -> None:
    with diary.open("a") as file:
        print(what, file=file)


@server.tool()
def price_of(product: str) -> str:
    """Say what a product costs."""
    note(f"price_of {product}")
    if product != "lamp":
        raise ValueError(f"no {product} here")
    return "35"


@server.tool()
def buy(product: str, count: int = 1) -> dict[str, int]:
    """Buy some of a product."""
    note(f"buy {product}")
    return {product: count}


if len(sys.argv) > 2:
    server = MCPServer("other")
    server.tool(name=sys.argv[2])(lambda: sys.argv[2])

note("started")
server.run()
