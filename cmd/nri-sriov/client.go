package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// errNoDaemon says that nobody answers on the daemon's socket.
var errNoDaemon = errors.New("the daemon does not answer")

// client talks to the daemon.
type client struct {
	socket string
	http   http.Client
}

func newClient(runDir string) *client {
	c := &client{socket: filepath.Join(runDir, socketName)}
	c.http.Timeout = 10 * time.Second
	c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	}}
	return c
}

func (c *client) do(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("%w on %s: is `nri-sriov run` running, and are you root? (%w)", errNoDaemon, c.socket, dial.Err)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
		return errors.Join(errors.New(strings.TrimSpace(string(text))), err)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
