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

var parsed = template.Must(template.New("page").Parse("Hello {{.Name}}"))

type page struct{ Name, Secret string }

func handle(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	var out strings.Builder
	parsed.Execute(&out, page{req.GetString("template", ""), "CANARY-7f3"})
	return mcp.NewToolResultText(out.String()), nil
}
