// rule: duplicate_names
package relay

import (
	"encoding/json"
	"errors"
	"io"
)

type message struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	ID     json.RawMessage `json:"id"`
}

var errDenied = errors.New("denied")

func relay(line []byte, server io.Writer) error {
	var it message
	if err := json.Unmarshal(line, &it); err != nil {
		return err
	}
	if it.Method != "ping" && it.Method != "tools/list" {
		return errDenied
	}
	_, err := server.Write(line)
	return err
}
