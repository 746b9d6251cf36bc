# rule: ssrf
# attack: ["fetch", {"url": "{CANARY}/"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import urllib.request
from urllib.parse import urlparse

HOSTS = {"api.example.com", "www.example.com"}

@mcp.tool()
def fetch(url: str) -> str:
    parts = urlparse(url)
    if parts.scheme != "https" or parts.hostname not in HOSTS:
        raise ValueError("not allowed")
    return urllib.request.urlopen(url, timeout=5).read().decode()
