# rule: sql_from_caller
# attack: ["query", {"sql": "SELECT secret FROM vault"}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import sqlite3

db = sqlite3.connect(os.environ["DB"], check_same_thread=False)

@mcp.tool()
def query(sql: str) -> list:
    if not sql.lstrip().upper().startswith("SELECT"):
        raise ValueError("only SELECT")
    return db.execute(sql).fetchall()
