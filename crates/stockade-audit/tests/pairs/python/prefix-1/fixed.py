# rule: path_prefix
# attack: ["read_file", {"path": "../root-secret/key"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

@mcp.tool()
def read_file(path: str) -> str:
    base = os.path.realpath(ROOT)
    full = os.path.realpath(os.path.join(base, path))
    if not full.startswith(os.path.join(base, "")):
        raise ValueError("outside")
    return open(full).read()
