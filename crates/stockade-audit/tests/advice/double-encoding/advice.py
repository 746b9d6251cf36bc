# rule: path_escape
import os
from urllib.parse import unquote
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.path.realpath(os.environ["ROOT"])

@mcp.resource("notes://{name}")
def note(name: str) -> str:
    if ".." in name or name.startswith("/"):
        raise ValueError("outside of the directory")
    with open(os.path.join(ROOT, unquote(name))) as file:
        return file.read()
