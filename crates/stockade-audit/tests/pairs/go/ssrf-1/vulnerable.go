// rule: ssrf
// attack: ["tool", {"url": "{CANARY}/"}]

package main

import (
	"context"
	"io"
	"net/http"
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
	resp, err := http.Get(req.GetString("url", ""))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return mcp.NewToolResultText(string(body)), nil
}
