package lab

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// Output is what a program in the guest printed, and how it ended.
type Output struct {
	Stdout, Stderr string
	Code           int // exit code; 128 and the signal's number when killed
}

// ExitError is a program in the guest that ended with another code than 0.
type ExitError struct {
	Argv []string
	Output
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("run %q in the guest: exit code %d\nstdout: %s\nstderr: %s",
		strings.Join(e.Argv, " "), e.Code, e.Stdout, e.Stderr)
}

// Logs is the folder on the host with the guest's console and what Collect brought.
func (g *Guest) Logs() string { return g.options.Logs }

// Kernel is the guest's uname -r.
func (g *Guest) Kernel() string { return g.ready.Kernel }

// BootTime is how long booting took, as the guest counts it.
func (g *Guest) BootTime() time.Duration {
	return time.Duration(g.ready.Seconds * float64(time.Second))
}

// Run runs a program to its end. Another exit code than 0 is an *ExitError;
// the Output is valid then too. The end of ctx kills the program.
func (g *Guest) Run(ctx context.Context, argv ...string) (Output, error) {
	return g.run(ctx, protocol.Command{Argv: argv})
}

// Shell runs a script with `bash -eu`, as Run does.
func (g *Guest) Shell(ctx context.Context, script string) (Output, error) {
	return g.run(ctx, shellCommand(script))
}

// LoadModules loads kernel modules with all that they need.
func (g *Guest) LoadModules(ctx context.Context, names ...string) error {
	_, err := g.Run(ctx, append([]string{"modprobe", "--all"}, names...)...)
	return err
}

// shellCommand is a script with its arguments $1, $2, ….
func shellCommand(script string, args ...string) protocol.Command {
	return protocol.Command{Argv: append([]string{"bash", "-euo", "pipefail", "-c", script, "script"}, args...)}
}

func (g *Guest) run(ctx context.Context, c protocol.Command) (Output, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return Output{}, err
	}
	var result protocol.Result
	if err := g.call(ctx, http.MethodPost, protocol.PathRun, nil, bytes.NewReader(body), &result); err != nil {
		return Output{}, fmt.Errorf("run %q in the guest: %w", strings.Join(c.Argv, " "), err)
	}
	if result.Error != "" {
		return Output{}, fmt.Errorf("run %q in the guest: %s", strings.Join(c.Argv, " "), result.Error)
	}
	output := Output{Stdout: string(result.Stdout), Stderr: string(result.Stderr), Code: result.Code}
	if output.Code != 0 {
		return output, &ExitError{Argv: c.Argv, Output: output}
	}
	return output, nil
}

// WriteFile replaces a file whole, making its folders; a file of /sys or /proc
// is written in place.
func (g *Guest) WriteFile(ctx context.Context, path string, mode fs.FileMode, data []byte) error {
	query := map[string]string{"path": path, "mode": fmt.Sprintf("%o", mode.Perm())}
	if err := g.call(ctx, http.MethodPut, protocol.PathFile, query, bytes.NewReader(data), nil); err != nil {
		return fmt.Errorf("write %s in the guest: %w", path, err)
	}
	return nil
}

// CopyFile writes a file of the host's into the guest, with its mode.
func (g *Guest) CopyFile(ctx context.Context, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("copy into the guest: %w", err)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy into the guest: %w", err)
	}
	return g.WriteFile(ctx, to, info.Mode(), data)
}

// ReadFile reads a file; one that is not there is fs.ErrNotExist.
func (g *Guest) ReadFile(ctx context.Context, path string) ([]byte, error) {
	var data []byte
	err := g.call(ctx, http.MethodGet, protocol.PathFile, map[string]string{"path": path}, nil, &data)
	if err != nil {
		return nil, fmt.Errorf("read %s in the guest: %w", path, err)
	}
	return data, nil
}

// Dmesg is the kernel's log.
func (g *Guest) Dmesg(ctx context.Context) (string, error) {
	output, err := g.Run(ctx, "dmesg")
	return output.Stdout, err
}

// Collect copies files and whole folders out of the guest, below dir.
func (g *Guest) Collect(ctx context.Context, dir string, guestPaths ...string) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	values := url.Values{"path": guestPaths}
	response, err := g.sendQuery(ctx, http.MethodGet, protocol.PathArchive, values, nil)
	if err != nil {
		return fmt.Errorf("collect %q: %w", guestPaths, err)
	}
	defer response.Body.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("collect %q: %w", guestPaths, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("collect %q: %w", guestPaths, err)
	}
	defer root.Close()
	for in := tar.NewReader(response.Body); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = root.MkdirAll(filepath.Dir(header.Name), 0o755)
		}
		var data []byte
		if err == nil {
			data, err = io.ReadAll(in)
		}
		if err == nil {
			err = root.WriteFile(header.Name, data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("collect %q: %w", guestPaths, err)
		}
	}
}

// Dial connects to a unix socket in the guest.
func (g *Guest) Dial(ctx context.Context, unixPath string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", g.address)
	if err != nil {
		return nil, fmt.Errorf("dial %s in the guest: %w", unixPath, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	request, err := g.request(ctx, http.MethodGet, protocol.PathDial, url.Values{"path": {unixPath}}, nil)
	if err == nil {
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", protocol.PathDial[1:])
		err = request.Write(conn)
	}
	reader := bufio.NewReader(conn)
	if err == nil {
		var response *http.Response
		response, err = http.ReadResponse(reader, request)
		if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
			err = refusal(response)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("dial %s in the guest: %w", unixPath, errors.Join(err, conn.Close()))
	}
	return &proxied{TCPConn: conn.(*net.TCPConn), reader: reader}, nil
}

// proxied is a connection whose first bytes came with the agent's answer.
type proxied struct {
	*net.TCPConn
	reader *bufio.Reader
}

func (p *proxied) Read(b []byte) (int, error) { return p.reader.Read(b) }
