package vf

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestProcessStart(t *testing.T) {
	mine, err := ProcessStart(os.Getpid())
	if err != nil || mine == 0 {
		t.Fatal(mine, err)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if start, err := ProcessStart(pid); err != nil || start < mine {
		t.Errorf("a child that began at %d before its parent at %d: %v", start, mine, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if _, err := ProcessStart(pid); !errors.Is(err, ErrNoProcess) {
		t.Errorf("a process that was killed: %v", err)
	}
}

func TestParseProcessStart(t *testing.T) {
	const after = " 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0 0\n"
	for name, text := range map[string]string{"plain": "7 (pause) S 1" + after, "brackets": "7 (a) b) (c) S 1" + after} {
		if start, err := parseProcessStart(7, text); err != nil || start != 4711 {
			t.Errorf("%s: %d, %v", name, start, err)
		}
	}
	if _, err := parseProcessStart(7, "7 (pause) Z 1"+after); !errors.Is(err, ErrNoProcess) {
		t.Errorf("a zombie: %v", err)
	}
	for _, text := range []string{"", "7 (pause) S", "7 (pause) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 x 0"} {
		if start, err := parseProcessStart(7, text); err == nil {
			t.Errorf("%q is read as %d", text, start)
		}
	}
}
