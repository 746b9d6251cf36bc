// rule: path_escape
// attack: ["tool", {"path": "../pwned", "text": "x"}]

package main

import (
	"context"
	"fmt"
	"os"
	"regexp"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

var root = os.Getenv("ROOT")

func main() {
	s := server.NewMCPServer("notes", "1")
	s.AddTool(mcp.NewTool("tool"), handle)
	server.ServeStdio(s)
}

var names = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func handle(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	args := req.GetArguments()
	name, _ := args["path"].(string)
	text, _ := args["text"].(string)
	if !names.MatchString(name) {
		return mcp.NewToolResultError("not a name"), nil
	}
	file, err := os.Create(fmt.Sprintf("%s/%s", root, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	file.WriteString(text)
	return mcp.NewToolResultText("written"), nil
}
