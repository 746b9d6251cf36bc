# rule: unbounded_size
# attack: ["repeat", {"text": "CANARY-7f3", "count": 10000}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

@mcp.tool()
def repeat(text: str, count: int) -> str:
    return text * count
