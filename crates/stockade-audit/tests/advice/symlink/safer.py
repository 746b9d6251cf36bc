# rule: symlink_in_root
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.open(os.environ["ROOT"], os.O_RDONLY | os.O_DIRECTORY)

@mcp.tool(annotations={"readOnlyHint": True})
def read_file(path: str) -> str:
    if "/" in path or path.startswith("."):
        raise ValueError("not a name in the directory")
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=ROOT)
    with os.fdopen(opened) as file:
        return file.read()
