# rule: code_evaluation
# attack: ["calc", {"expression": "open(__import__('os').path.join(ROOT, '..', 'secret.txt')).read()"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

@mcp.tool()
def calc(expression: str) -> str:
    try:
        return str(eval(expression))
    except SyntaxError:
        return "not an expression"
