// rule: unbounded_size
// attack: ["tool", {"text": "CANARY-7f3", "count": 10000}]

package main

import (
	"context"
	"os"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

var root = os.Getenv("ROOT")

func main() {
	s := server.NewMCPServer("notes", "1")
	s.AddTool(mcp.NewTool("tool"), handle)
	server.ServeStdio(s)
}

func handle(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	count := req.GetInt("count", 1)
	return mcp.NewToolResultText(strings.Repeat(req.GetString("text", ""), count)), nil
}
