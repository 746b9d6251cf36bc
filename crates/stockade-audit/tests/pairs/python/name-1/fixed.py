# rule: name_from_caller
# attack: ["call", {"name": "_secret"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

class Api:
    def _secret(self):
        return "CANARY-7f3"
    def count(self):
        return "3"

@mcp.tool()
def call(name: str) -> str:
    if name not in ("count",):
        raise ValueError("unknown")
    return getattr(Api(), name)()
