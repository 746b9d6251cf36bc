# rule: hard_link
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.path.realpath(os.environ["ROOT"])

@mcp.tool(annotations={"readOnlyHint": False})
def append(path: str, text: str) -> str:
    full = os.path.realpath(os.path.join(ROOT, path))
    if os.path.commonpath([ROOT, full]) != ROOT:
        raise ValueError("outside of the directory")
    with open(full, "a") as file:
        if os.fstat(file.fileno()).st_nlink > 1:
            raise ValueError("the file has another name")
        file.write(text)
    return "written"
