"""A small MCP server, over stdio: what a shop sells, and for how much."""

try:
    from mcp.server.mcpserver import MCPServer
except ImportError:  # the name that it had in version 1
    from mcp.server.fastmcp import FastMCP as MCPServer

server = MCPServer("shop", log_level="WARNING")

STOCK = {"lamp": 4, "chair": 0}
PRICES = {"lamp": 35, "chair": 80}


@server.tool()
def in_stock(product: str) -> str:
    """Say how many of a product there are."""
    return f"{product}: {STOCK.get(product, 0)} in stock"


@server.tool()
def price_of(product: str) -> str:
    """Say what a product costs."""
    return f"{product}: {PRICES[product]}" if product in PRICES else f"{product}: not sold here"


if __name__ == "__main__":
    server.run()
