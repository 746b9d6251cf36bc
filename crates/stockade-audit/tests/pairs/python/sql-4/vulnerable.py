# rule: sql_from_caller
# attack: ["find", {"filter": {"column": "1=1 UNION SELECT secret, 1 FROM vault --", "value": "x"}}]
import os
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("notes")
ROOT = os.environ["ROOT"]

import sqlite3

db = sqlite3.connect(os.environ["DB"], check_same_thread=False)

from pydantic import BaseModel

class Filter(BaseModel):
    column: str
    value: str

@mcp.tool()
def find(filter: Filter) -> list:
    sql = "SELECT name, id FROM users WHERE %s = ?" % filter.column
    return db.execute(sql.replace(" = ?", "")).fetchall()
