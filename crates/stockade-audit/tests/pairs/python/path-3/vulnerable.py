# rule: path_escape
# attack: ["note", {"name": "../pwned", "text": "x"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

from pathlib import Path

def place(name):
    return Path(ROOT) / name

@mcp.tool()
def note(name: str, text: str) -> str:
    target = place(name)
    target.write_text(text)
    return "written"
