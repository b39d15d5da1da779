package lab_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nri-sriov/nri-sriov/test/e2e/lab"
)

func testFiles(t *testing.T, g *lab.Guest) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<20) // 64 MiB, as a big binary
	begin := time.Now()
	if err := g.WriteFile(t.Context(), "/tmp/deep/er/file", 0o755, data); err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote 64 MiB in %s", time.Since(begin))
	if got := shell(t, g, "stat -c '%%a %%s' /tmp/deep/er/file"); got != "755 67108864" {
		t.Errorf("mode and size: %s", got)
	}
	got, err := g.ReadFile(t.Context(), "/tmp/deep/er/file")
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back other data: %d bytes, %v", len(got), err)
	}
	if _, err := g.ReadFile(t.Context(), "/not/there"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	dir := t.TempDir()
	shell(t, g, "rm -r /tmp/deep; echo hello >/var/log/greeting.log")
	if err := g.Collect(t.Context(), dir, "/var/log", "/not/there"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "var/log/greeting.log")); string(text) != "hello\n" {
		t.Errorf("collected %q, %v", text, err)
	}
}

func testProcesses(t *testing.T, g *lab.Guest) {
	ctx := t.Context()
	output, err := g.Run(ctx, "sh", "-c", "echo out; echo err >&2; exit 3")
	var exit *lab.ExitError
	if !errors.As(err, &exit) || exit.Code != 3 || output.Stdout != "out\n" || output.Stderr != "err\n" {
		t.Errorf("got %+v, %v", output, err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := g.Run(short, "sleep", "4321"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that outlives its context gives %v", err)
	}
	shell(t, g, "for try in $(seq 50); do pgrep -x -f 'sleep 4321' || exit 0; sleep 0.1; done; exit 1")

	p, err := g.Start(ctx, "greeter", []string{"WHO=lab"}, "sh", "-c", "echo hello $WHO; exec sleep 1000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(ctx, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("waiting for a process that runs gives %v", err)
	}
	if running, err := p.Running(ctx); !running || err != nil {
		t.Errorf("running: %v, %v", running, err)
	}
	if err := p.Signal(ctx, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(ctx, 10*time.Second); code != 137 || err != nil {
		t.Errorf("a killed process gives %d, %v", code, err)
	}
	if log, err := g.ReadFile(ctx, p.Log()); string(log) != "hello lab\n" {
		t.Errorf("the log is %q, %v", log, err)
	}
}

func testContainerd(t *testing.T, g *lab.Guest) {
	ctx := t.Context()
	begin := time.Now()
	c, err := g.StartContainerd(ctx, lab.ContainerdOptions{Handlers: []string{"other"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("containerd up in %s", time.Since(begin))
	begin = time.Now()
	pod, err := c.CRI().RunPod(ctx, lab.Pod{Name: "first", RuntimeHandler: "other"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("sandbox in %s", time.Since(begin))
	begin = time.Now()
	container, err := c.CRI().StartIn(ctx, pod, "main")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("container in %s", time.Since(begin))
	status, err := c.CRI().PodStatus(ctx, pod)
	if err != nil || !status.Ready || status.NetNS == "" || status.PID == 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
	if err := c.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	output, err := c.CRI().Exec(ctx, container, "ip", "-o", "addr", "show", "dev", "eth0")
	if err != nil || !strings.Contains(output.Stdout, status.IP+"/") {
		t.Errorf("eth0 is %q, want %s: %v", output.Stdout, status.IP, err)
	}
	shell(t, g, "ping -c 1 -W 5 %s; test -S %s", status.IP, lab.NRISocket)
	if err := c.CRI().StopContainer(ctx, container); err != nil {
		t.Fatal(err)
	}
	if err := c.CRI().StopPod(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if status, err := c.CRI().PodStatus(ctx, pod); err != nil || status.Ready || status.NetNS != "" {
		t.Errorf("status after stop: %+v, %v", status, err)
	}
	if err := c.CRI().RemovePod(ctx, pod); err != nil {
		t.Fatal(err)
	}
	if pods, err := c.CRI().ListPods(ctx); len(pods) != 0 || err != nil {
		t.Errorf("pods left: %v, %v", pods, err)
	}
	for _, left := range []lab.Pod{{Name: "left"}, {Name: "host", HostNetwork: true}} {
		if _, err := c.CRI().RunPod(ctx, left); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, g, "pgrep -l 'containerd|pause' || true; ls /run/netns"); got != "" {
		t.Errorf("left after stop: %s", got)
	}
}
