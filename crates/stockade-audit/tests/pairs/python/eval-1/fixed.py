# rule: code_evaluation
# attack: ["calc", {"expression": "open(__import__('os').path.join(ROOT, '..', 'secret.txt')).read()"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import ast

@mcp.tool()
def calc(expression: str) -> str:
    return str(ast.literal_eval(expression))
