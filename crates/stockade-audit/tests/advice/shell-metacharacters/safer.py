# rule: command_from_caller
import subprocess
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("search")

@mcp.tool(annotations={"readOnlyHint": True})
def search(word: str) -> str:
    done = subprocess.run(["grep", "-r", "-e", word, "--", "."], capture_output=True, timeout=10)
    return done.stdout.decode()
