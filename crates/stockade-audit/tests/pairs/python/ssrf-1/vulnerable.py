# rule: ssrf
# attack: ["fetch", {"url": "{CANARY}/"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import urllib.request

@mcp.tool()
def fetch(url: str) -> str:
    if not url.startswith("http"):
        raise ValueError("only http")
    return urllib.request.urlopen(url, timeout=5).read().decode()
