# rule: sql_from_caller
import sqlite3
from mcp.server.fastmcp import FastMCP

mcp = FastMCP("shop")
db = sqlite3.connect("file:shop.db?mode=ro", uri=True)

@mcp.tool(annotations={"readOnlyHint": True})
def orders(customer: str) -> list:
    return db.execute("SELECT id, total FROM orders WHERE customer = ?", (customer,)).fetchall()
