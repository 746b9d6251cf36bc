# rule: sql_from_caller
# attack: ["query", {"sql": "SELECT secret FROM vault"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import sqlite3

db = sqlite3.connect(os.environ["DB"], check_same_thread=False)

QUERIES = {"names": "SELECT name FROM users", "count": "SELECT count(*) FROM users"}

@mcp.tool()
def query(sql: str) -> list:
    if sql not in QUERIES:
        raise ValueError("unknown query")
    return db.execute(QUERIES[sql]).fetchall()
