# rule: path_escape
# attack: ["call_tool", {"name": "read", "arguments": {"file": "../secret.txt"}}]
import os
from mcp.server import Server

server = Server("files")
ROOT = os.environ["ROOT"]

@server.call_tool()
async def call_tool(name, arguments):
    if name == "read":
        file = arguments.get("file", "")
        if file.startswith("/"):
            raise ValueError("no absolute paths")
        path = os.path.normpath(os.path.join(ROOT, file))
        with open(path) as handle:
            return handle.read()
    raise ValueError("unknown tool")
