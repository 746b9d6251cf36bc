# rule: sql_from_caller
# attack: ["listing", {"order": "(SELECT secret FROM vault)"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import sqlite3

db = sqlite3.connect(os.environ["DB"], check_same_thread=False)

@mcp.tool()
def listing(order: str) -> list:
    query = "SELECT name, " + order + " FROM users"
    cursor = db.cursor()
    cursor.execute(query)
    return cursor.fetchall()
