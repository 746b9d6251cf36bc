// rule: command_from_caller
// attack: ["tool", {"program": "cat", "file": "../secret.txt"}]

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

var programs = map[string]string{"date": "/bin/date", "list": "/bin/ls"}

type input struct {
	Program string `json:"program"`
	File    string `json:"file"`
}

func handle(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var in input
	if err := req.BindArguments(&in); err != nil {
		return nil, err
	}
	program, ok := programs[in.Program]
	if !ok {
		return mcp.NewToolResultError("not allowed"), nil
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = root
	out, _ := cmd.CombinedOutput()
	return mcp.NewToolResultText(string(out)), nil
}
