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

func place(name string) string {
	return filepath.Clean(root + "/" + name)
}

func handle(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	name, err := req.RequireString("path")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(place(name))
	if err != nil {
		return nil, err
	}
	return mcp.NewToolResultText(string(data)), nil
}
