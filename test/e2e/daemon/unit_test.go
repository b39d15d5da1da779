package daemon

import (
	"strings"
	"testing"
)

func TestReadStatus(t *testing.T) {
	for text, want := range map[string]unitStatus{
		"ActiveState=active\nExecMainPID=42\nExecMainCode=0\nExecMainStatus=0\n":       {pid: 42, running: true},
		"ActiveState=deactivating\nExecMainPID=42\nExecMainCode=2\nExecMainStatus=9\n": {pid: 42, code: 137, running: true},
		"ActiveState=failed\nExecMainPID=42\nExecMainCode=1\nExecMainStatus=1\n":       {pid: 42, code: 1},
		"ActiveState=failed\nExecMainPID=42\nExecMainCode=2\nExecMainStatus=9\n":       {pid: 42, code: 137},
		"ActiveState=inactive\nExecMainPID=0\nExecMainCode=0\nExecMainStatus=0\n":      {},
	} {
		if got, err := readStatus(text); got != want || err != nil {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	if got, err := readStatus("ActiveState=active\n"); err == nil {
		t.Errorf("half an answer is read as %+v", got)
	}
}

func TestDropIn(t *testing.T) {
	d := &Daemon{Env: []string{`A=b "c" 100%`}, Directives: []string{"CapabilityBoundingSet=~CAP_NET_RAW"}}
	text := d.dropIn([]string{"--config", "a b$c"})
	for _, line := range []string{
		"[Service]", "Restart=no", "ExecStart=", `ExecStart=/usr/local/bin/nri-sriov run --log-level debug "--config" "a b$$c"`,
		`Environment="A=b \"c\" 100%%"`, "StandardError=append:/var/log/nri-sriov.log", "CapabilityBoundingSet=~CAP_NET_RAW",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the drop-in\n%s\nhas no line %s", text, line)
		}
	}
}
