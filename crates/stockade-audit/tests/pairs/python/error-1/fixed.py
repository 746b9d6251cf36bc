# rule: secret_in_error
# attack: ["sync", {}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

TOKEN = os.environ["SECRET_TOKEN"]

@mcp.tool()
def sync() -> str:
    try:
        raise ConnectionError("down")
    except ConnectionError:
        return "could not sync"
