# rule: sql_from_caller
# attack: ["user", {"name": "' UNION SELECT secret, 1 FROM vault --"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import sqlite3

db = sqlite3.connect(os.environ["DB"], check_same_thread=False)

@mcp.tool()
def user(name: str) -> list:
    return db.execute("SELECT name, id FROM users WHERE name = ?", (name,)).fetchall()
