# rule: code_evaluation
# attack: ["apply", {"code": "result = open(ROOT + '/../secret.txt').read()"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

def carry_out(source):
    names = {"ROOT": ROOT}
    exec(compile(source, "tool", "exec"), names)
    return names["result"]

@mcp.tool()
def apply(code: str) -> str:
    return carry_out(code)
