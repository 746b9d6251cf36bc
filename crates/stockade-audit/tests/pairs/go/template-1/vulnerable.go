// rule: template_evaluation
// attack: ["tool", {"template": "{{.Secret}}"}]

package main

import (
	"context"
	"os"
	"strings"
	"text/template"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

var root = os.Getenv("ROOT")

func main() {
	s := server.NewMCPServer("notes", "1")
	s.AddTool(mcp.NewTool("tool"), handle)
	server.ServeStdio(s)
}

type page struct{ Name, Secret string }

func handle(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	parsed, err := template.New("page").Parse(req.GetString("template", ""))
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	parsed.Execute(&out, page{"a", "CANARY-7f3"})
	return mcp.NewToolResultText(out.String()), nil
}
