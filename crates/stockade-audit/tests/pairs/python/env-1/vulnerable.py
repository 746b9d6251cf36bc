# rule: name_from_caller
# attack: ["setting", {"name": "SECRET_TOKEN"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

@mcp.tool()
def setting(name: str) -> str:
    return os.environ.get(name, "")
