// rule: name_from_caller
// attack: ["tool", {"name": "SECRET_TOKEN"}]

package main

import (
	"context"
	"os"

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
	switch name := req.GetString("name", ""); name {
	case "LANG", "TZ":
		return mcp.NewToolResultText(os.Getenv(name)), nil
	default:
		return mcp.NewToolResultError("not shown"), nil
	}
}
