# rule: path_escape
# attack: ["read_file", {"path": "../secret.txt"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

@mcp.tool()
def read_file(path: str) -> str:
    with open(os.path.join(ROOT, path)) as file:
        return file.read()
