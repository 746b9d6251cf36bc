# rule: command_from_caller
import subprocess
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("search")

@mcp.tool(annotations={"readOnlyHint": True})
def search(word: str) -> str:
    if any(it in word for it in ";|&$"):
        raise ValueError("not a word")
    done = subprocess.run(f"grep -r {word} .", shell=True, capture_output=True, timeout=10)
    return done.stdout.decode()
