# rule: path_prefix
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.path.realpath(os.environ["ROOT"])

@mcp.tool(annotations={"readOnlyHint": True})
def read_file(path: str) -> str:
    full = os.path.realpath(os.path.join(ROOT, path))
    if not full.startswith(ROOT):
        raise ValueError("outside of the directory")
    with open(full) as file:
        return file.read()
