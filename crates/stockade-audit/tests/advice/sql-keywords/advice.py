# rule: sql_from_caller
import sqlite3
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("shop")
db = sqlite3.connect("shop.db")

@mcp.tool(annotations={"readOnlyHint": True})
def query(sql: str) -> list:
    if not sql.strip().upper().startswith("SELECT"):
        raise ValueError("only SELECT")
    return db.execute(sql).fetchall()
