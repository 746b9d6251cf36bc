# rule: path_escape
# attack: ["call_tool", {"name": "read", "arguments": {"file": "../secret.txt"}}]
import os
from mcp.server import Server

server = Server("files")
ROOT = os.path.realpath(os.environ["ROOT"])

def inside(path):
    return path == ROOT or path.startswith(ROOT + os.sep)

@server.call_tool()
async def call_tool(name, arguments):
    if name == "read":
        path = os.path.realpath(os.path.join(ROOT, arguments.get("file", "")))
        if not inside(path):
            raise ValueError("outside")
        with open(path) as handle:
            return handle.read()
    raise ValueError("unknown tool")
