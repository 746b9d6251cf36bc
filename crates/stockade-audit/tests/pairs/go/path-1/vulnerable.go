// rule: path_escape
// attack: ["tool", {"path": "../secret.txt"}]

package main

import (
	"context"
	"os"
	"path/filepath"

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
	name := req.GetString("path", "")
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return mcp.NewToolResultError("cannot read"), nil
	}
	return mcp.NewToolResultText(string(data)), nil
}
