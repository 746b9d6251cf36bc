# rule: template_evaluation
# attack: ["render", {"template": "{box.__class__.hidden}"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

class Box:
    hidden = "CANARY-7f3"
    name = "box"

@mcp.tool()
def render(template: str) -> str:
    return "{}: {}".format(template, Box.name)
