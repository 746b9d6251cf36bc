# rule: path_escape
# attack: ["note", {"name": "../pwned", "text": "x"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

from pathlib import Path

def place(name):
    target = (Path(ROOT) / name).resolve()
    if Path(ROOT).resolve() not in target.parents:
        raise ValueError("outside")
    return target

@mcp.tool()
def note(name: str, text: str) -> str:
    place(name).write_text(text)
    return "written"
