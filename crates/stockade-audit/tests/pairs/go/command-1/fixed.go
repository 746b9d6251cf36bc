// rule: command_from_caller
// attack: ["tool", {"host": "x; cat ../secret.txt"}]

package main

import (
	"context"
	"os"
	"os/exec"

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
	host := req.GetString("host", "")
	cmd := exec.Command("echo", host)
	cmd.Dir = root
	out, _ := cmd.Output()
	return mcp.NewToolResultText(string(out)), nil
}
