# rule: code_evaluation
# attack: ["apply", {"code": "result = open(ROOT + '/../secret.txt').read()"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

STEPS = {"double": lambda x: x * 2, "negate": lambda x: -x}

@mcp.tool()
def apply(code: str, x: int = 1) -> str:
    if code not in STEPS:
        raise ValueError("unknown step")
    return str(STEPS[code](x))
