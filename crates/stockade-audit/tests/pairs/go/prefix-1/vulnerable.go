// rule: path_prefix
// attack: ["tool", {"path": "../root-secret/key"}]

package main

import (
	"context"
	"os"
	"path/filepath"
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
	full := filepath.Join(root, req.GetString("path", ""))
	if !strings.HasPrefix(full, root) {
		return mcp.NewToolResultError("outside"), nil
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return nil, err
	}
	return mcp.NewToolResultText(string(data)), nil
}
