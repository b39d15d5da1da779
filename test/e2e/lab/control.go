package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// control talks to QEMU itself, in its machine protocol (QMP), over its
// standard input and output.
type control struct {
	mu      *sync.Mutex
	in      io.Writer
	out     io.Closer // ends the reading, once QEMU has ended
	answers chan answer
	ready   bool
}

// answer is a message of QEMU's: a greeting, an event, a result or an error.
type answer struct {
	Event  string          `json:"event"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Description string `json:"desc"`
	} `json:"error"`
}

// newControl takes hold of the streams of a QEMU that has not started. QEMU
// reads and writes them for as long as it lives.
func newControl(qemu *exec.Cmd) (control, error) {
	in, err := qemu.StdinPipe()
	if err != nil {
		return control{}, fmt.Errorf("control QEMU: %w", err)
	}
	reader, writer := io.Pipe()
	qemu.Stdout = writer
	c := control{mu: &sync.Mutex{}, in: in, out: writer, answers: make(chan answer, 1)}
	go func() {
		defer close(c.answers)
		// What is not read here would stop QEMU: after an error, read on.
		defer func() { _, _ = io.Copy(io.Discard, reader) }()
		for messages := json.NewDecoder(reader); ; {
			var message answer
			if err := messages.Decode(&message); err != nil {
				return
			}
			if message.Return == nil && message.Error == nil {
				continue // the greeting, or an event
			}
			select {
			case c.answers <- message:
			default: // nobody waits for it any more
			}
		}
	}()
	return c, nil
}

// SetLink plugs a PF's cable in or out: the PF, and with it its VFs, gets or
// loses its carrier.
func (g *Guest) SetLink(ctx context.Context, pf string, up bool) error {
	for n, nic := range g.options.NICs {
		if nic.Name == pf {
			arguments := map[string]any{"name": fmt.Sprintf("igb%d", n), "up": up}
			if err := g.control.do(ctx, "set_link", arguments); err != nil {
				return fmt.Errorf("set the link of %s: %w", pf, err)
			}
			return nil
		}
	}
	return fmt.Errorf("set the link of %s: the guest has no such PF", pf)
}

// do runs one command of QEMU's.
func (c *control) do(ctx context.Context, command string, arguments map[string]any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready {
		if err := c.exchange(ctx, map[string]any{"execute": "qmp_capabilities"}); err != nil {
			return err
		}
		c.ready = true
	}
	return c.exchange(ctx, map[string]any{"execute": command, "arguments": arguments})
}

func (c *control) exchange(ctx context.Context, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	select {
	case <-c.answers: // to a command that was given up
	default:
	}
	if _, err := c.in.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("ask QEMU: %w", err)
	}
	select {
	case message, open := <-c.answers:
		switch {
		case !open:
			return fmt.Errorf("ask QEMU: it has ended")
		case message.Error != nil:
			return fmt.Errorf("QEMU says: %s", message.Error.Description)
		}
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("ask QEMU: no answer in 10 s")
	case <-ctx.Done():
		return fmt.Errorf("ask QEMU: %w", ctx.Err())
	}
}
