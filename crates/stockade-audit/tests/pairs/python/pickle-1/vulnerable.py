# rule: unsafe_deserialisation
# attack: ["load", {"data": "{PICKLE}"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import base64
import pickle

@mcp.tool()
def load(data: str) -> str:
    return repr(pickle.loads(base64.b64decode(data)))
