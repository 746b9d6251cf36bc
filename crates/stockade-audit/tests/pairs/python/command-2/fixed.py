# rule: command_from_caller
# attack: ["count", {"file": "x\ncat ../secret.txt"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import shlex
import subprocess

@mcp.tool()
def count(file: str) -> str:
    return os.popen("cd " + ROOT + " && wc -l -- " + shlex.quote(file) + " 2>&1").read()
