# rule: unsafe_deserialisation
# attack: ["load", {"data": "{PICKLE}"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import base64
import json

@mcp.tool()
def load(data: str) -> str:
    return repr(json.loads(base64.b64decode(data)))
