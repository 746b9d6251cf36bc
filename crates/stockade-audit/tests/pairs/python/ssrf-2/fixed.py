# rule: ssrf
# attack: ["fetch", {"url": "{CANARY}/?example.com"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import urllib.request
from urllib.parse import quote

@mcp.tool()
def fetch(url: str) -> str:
    target = "https://api.example.com/page?url=" + quote(url, safe="")
    request = urllib.request.Request(target, headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=1) as answer:
        return answer.read().decode()
