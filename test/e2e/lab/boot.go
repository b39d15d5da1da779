package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/guest/protocol"
)

// requestLimit bounds every request to the agent, whatever its caller allows:
// a guest that hangs must not hang a test run.
const requestLimit = 10 * time.Minute

// Guest is a running machine. It ends with Close, and in any case with the
// process that booted it.
type Guest struct {
	options Options
	token   string
	address string // of the agent
	client  *http.Client
	qemu    *exec.Cmd
	ended   chan struct{} // closed when QEMU has ended, with its error in failure
	failure error
	ready   protocol.Ready

	containerd  Version
	containerds atomic.Int64 // how many were started, for their folders

	control control
}

// Boot starts a guest and returns when its agent answers: the PFs are up with
// a carrier then, and their VFs have names and drivers.
func Boot(ctx context.Context, assets *Assets, options Options) (*Guest, error) {
	options = options.withDefaults()
	var err error
	if options.Logs == "" {
		options.Logs, err = os.MkdirTemp("", "nri-sriov-lab-")
	} else {
		err = os.MkdirAll(options.Logs, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("boot a guest: make its log folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, options.Limit)
	defer cancel()
	if err := makeState(ctx, options.State); err != nil {
		return nil, fmt.Errorf("boot a guest: %w", err)
	}
	for attempt := 1; ; attempt++ {
		g, err := start(assets, options)
		if err == nil {
			err = g.await(ctx)
			if err == nil {
				return g, nil
			}
			err = errors.Join(err, g.Close())
		}
		// Between choosing the port and QEMU's taking it, another may have it.
		if attempt < 3 && (errors.Is(err, errStalled) || strings.Contains(err.Error(), "Could not set up host forwarding rule")) {
			console := filepath.Join(options.Logs, "console.log")
			_ = os.Rename(console, fmt.Sprintf("%s.%d", console, attempt)) // for whoever looks; the next one writes its own
			continue
		}
		return nil, fmt.Errorf("boot a guest (logs: %s): %w", options.Logs, err)
	}
}

func start(assets *Assets, options Options) (*Guest, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	m := machine{
		options: options, assets: assets, token: rand.Text(), port: port,
		console: filepath.Join(options.Logs, "console.log"),
	}
	g := &Guest{
		options: options, token: m.token, address: fmt.Sprintf("127.0.0.1:%d", port),
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: 8}},
		ended:  make(chan struct{}), containerd: assets.Containerd,
	}
	complaints, err := os.Create(filepath.Join(options.Logs, "qemu.log"))
	if err != nil {
		return nil, err
	}
	// Not the caller's context: it bounds the boot and not the guest's life.
	g.qemu = assets.qemu.command(context.Background(), m.args()...)
	g.qemu.Stderr = complaints
	if g.control, err = newControl(g.qemu); err != nil {
		return nil, errors.Join(err, complaints.Close())
	}
	g.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked
		// ends, so this one must live as long as QEMU.
		runtime.LockOSThread()
		defer complaints.Close()
		defer g.control.out.Close()
		err := g.qemu.Start()
		started <- err
		if err == nil {
			g.failure = g.qemu.Wait()
		}
		close(g.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	return g, nil
}

// FreePort is a port of 127.0.0.1 that nothing listened on a moment ago.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// errStalled says that the guest's kernel stands still in its boot. Now and then QEMU's software emulation loses the timer
// interrupt of a CPU (seen once in some fifty boots); the guest does not recover, and the next one boots.
var errStalled = errors.New("the emulated CPU has lost its timer")

// stalled tells whether the kernel says so on the console.
func (g *Guest) stalled() bool {
	text, err := os.ReadFile(filepath.Join(g.options.Logs, "console.log"))
	return err == nil && strings.Contains(string(text), "kthread timer wakeup didn't happen for")
}

// await waits for the agent's first answer.
func (g *Guest) await(ctx context.Context) error {
	var last error
	for {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		last = g.call(once, http.MethodGet, protocol.PathReady, nil, nil, &g.ready)
		cancel()
		if last == nil {
			return nil
		}
		if g.stalled() {
			return g.explain("wait for its agent: %w", errStalled)
		}
		select {
		case <-g.ended:
			return g.explain("QEMU ended: %w", g.failure)
		case <-ctx.Done():
			return g.explain("wait for its agent: %w", errors.Join(ctx.Err(), last))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// explain adds what the guest itself said last.
func (g *Guest) explain(format string, err error) error {
	if err == nil {
		err = errors.New("by itself")
	}
	var said []string
	for _, name := range []string{"qemu.log", "console.log"} {
		if text, err := os.ReadFile(filepath.Join(g.options.Logs, name)); err == nil && len(text) > 0 {
			said = append(said, tail(string(text), 15))
		}
	}
	return fmt.Errorf(format+"\n%s", err, strings.Join(said, "\n"))
}

// Close ends the guest as a power cut would. It may be called again.
func (g *Guest) Close() error {
	g.client.CloseIdleConnections()
	select {
	case <-g.ended:
		return nil
	default:
	}
	if err := g.qemu.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end QEMU (process %d): %w", g.qemu.Process.Pid, err)
	}
	select {
	case <-g.ended:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("end QEMU: process %d is still there 10 s after SIGKILL", g.qemu.Process.Pid)
	}
}

// call sends one request to the agent. The answer goes into a *[]byte as it
// is, into anything else as JSON.
func (g *Guest) call(ctx context.Context, method, path string, query map[string]string, body io.Reader, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	response, err := g.send(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch into := into.(type) {
	case nil:
		_, err = io.Copy(io.Discard, response.Body)
	case *[]byte:
		*into, err = io.ReadAll(response.Body)
	default:
		err = json.NewDecoder(response.Body).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("read the agent's answer to %s: %w", path, err)
	}
	return nil
}
