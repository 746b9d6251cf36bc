# rule: ssrf
# attack: ["fetch", {"url": "{CANARY}/?example.com"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import urllib.request

@mcp.tool()
def fetch(url: str) -> str:
    if "example.com" not in url:
        raise ValueError("not allowed")
    request = urllib.request.Request(url, headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()
