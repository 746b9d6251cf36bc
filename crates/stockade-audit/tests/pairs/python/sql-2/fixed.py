# rule: sql_from_caller
# attack: ["listing", {"order": "(SELECT secret FROM vault)"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import sqlite3

db = sqlite3.connect(os.environ["DB"], check_same_thread=False)

COLUMNS = {"id": "id", "name": "name"}

@mcp.tool()
def listing(order: str) -> list:
    column = COLUMNS.get(order)
    if column is None:
        raise ValueError("no such column")
    cursor = db.cursor()
    cursor.execute("SELECT name, " + column + " FROM users")
    return cursor.fetchall()
