# rule: path_escape
# attack: ["read_file", {"path": "....//secret.txt"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

from pathlib import Path

@mcp.tool()
def read_file(path: str) -> str:
    full = (Path(ROOT) / path).resolve()
    full.relative_to(Path(ROOT).resolve())
    return full.read_text()
