package trace

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample is what strace writes, with one of each that is counted. The move was cut in two by another thread, the list of
// VFs was asked for on a socket whose kind strace could not tell.
const sample = `100  1.000001 sendto(9<NETLINK:[ROUTE:296]>, [{nlmsg_len=44, nlmsg_type=RTM_GETLINK, ...}], 44, 0, {sa_family=AF_NETLINK}, 12) = 44
 | 00000  2c 00 00 00 12 00 05 00  40 00 00 00 00 00 00 00  ,.......@....... |
 | 00010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  ................ |
 | 00020  0a 00 03 00 70 66 30 76  30 00 00 00              ....pf0v0...     |
100  1.000002 sendto(9<NETLINK:[ROUTE:296]>, [{nlmsg_len=40, nlmsg_type=RTM_NEWLINK, ...}], 40, 0, {sa_family=AF_NETLINK}, 12 <unfinished ...>
101  1.000003 fsync(13</tmp/file>) = 0
100  1.000004 <... sendto resumed>) = 40
 | 00000  28 00 00 00 10 00 05 00  01 00 00 00 00 00 00 00  (............... |
 | 00010  00 00 00 00 07 00 00 00  00 00 00 00 00 00 00 00  ................ |
 | 00020  08 00 1c 00 0c 00 00 00                           ........         |
100  1.000005 sendto(9<NETLINK:[ROUTE:296]>, [{nlmsg_len=56, nlmsg_type=RTM_SETLINK, ...}], 56, 0, {sa_family=AF_NETLINK}, 12) = 56
 | 00000  38 00 00 00 13 00 05 00  01 00 00 00 00 00 00 00  8............... |
 | 00010  00 00 00 00 02 00 00 00  00 00 00 00 00 00 00 00  ................ |
 | 00020  18 00 16 00 14 00 01 00  10 00 02 00 00 00 00 00  ................ |
 | 00030  64 00 00 00 00 00 00 00                           d.......         |
100  1.000006 sendto(14<NETLINK:[1438]>, [{nlmsg_len=40, nlmsg_type=0x12 /* NLMSG_??? */, ...}], 40, 0, {sa_family=AF_NETLINK}, 12) = 40
 | 00000  28 00 00 00 12 00 05 00  01 00 00 00 00 00 00 00  (............... |
 | 00010  00 00 00 00 02 00 00 00  00 00 00 00 00 00 00 00  ................ |
 | 00020  08 00 1d 00 09 00 00 00                           ........         |
100  1.000007 sendto(9<NETLINK:[ROUTE:296]>, [{nlmsg_len=32, nlmsg_type=RTM_GETLINK, ...}], 32, 0, {sa_family=AF_NETLINK}, 12) = 32
 | 00000  20 00 00 00 12 00 01 03  01 00 00 00 00 00 00 00   ............... |
 | 00010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  ................ |
100  1.000008 sendto(14<NETLINK:[1438]>, [{nlmsg_len=48, nlmsg_type=0x14 /* NLMSG_??? */, ...}], 48, 0, {sa_family=AF_NETLINK}, 12) = 48
 | 00000  30 00 00 00 14 00 05 05  03 00 00 00 00 00 00 00  0............... |
 | 00010  02 18 00 00 07 00 00 00  08 00 02 00 c0 00 02 0a  ................ |
 | 00020  08 00 01 00 c0 00 02 0a  08 00 04 00 c0 00 02 ff  ................ |
102  1.000009 execve("/bin/true", ["/bin/true"], 0x3cbb5d7a76e0 /* 4 vars */) = 0
100  1.000010 sendto(15<PACKET:[2]>, "\xff\xff", 2, 0, {sa_family=AF_PACKET}, 20) = 2
 | 00000  ff ff                                             ..               |
100  1.000011 connect(13<UNIX-STREAM:[1437]>, {sa_family=AF_UNIX, sun_path="/nowhere.sock"}, 16) = -1 ENOENT (No such file)
100  1.000012 connect(13<UNIX-STREAM:[1437]>, {sa_family=AF_UNIX, sun_path="/var/run/nri/nri.sock"}, 24) = 0
101  1.000013 clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=1, tv_nsec=0},  <unfinished ...>
102  1.000014 +++ exited with 0 +++
`

func TestCountEachOnce(t *testing.T) {
	calls, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Count(calls)
	if err != nil {
		t.Fatal(err)
	}
	values := reflect.ValueOf(got)
	for i := range values.NumField() {
		if n := values.Field(i).Int(); n != 1 {
			t.Errorf("%s is %d, not 1", values.Type().Field(i).Name, n)
		}
	}
	if len(calls) != 12 {
		t.Errorf("%d calls, not 12: %q", len(calls), calls)
	}
}

func TestBytesThatCannotBe(t *testing.T) {
	if _, err := Parse(" | 00000  2c 00\n"); err == nil {
		t.Error("bytes before any call are taken")
	}
	call := `100  1.0 sendto(9<NETLINK:[ROUTE:1]>, 2) = 2` + "\n"
	for _, dump := range []string{
		"",
		" | 00000  2c 00                                             ..               |\n",
		" | 00000  2c 00 00 00 12 00 05 00  40 00 00 00 00 00 00 00  ,.......@....... |\n",
	} {
		calls, err := Parse(call + dump)
		if err == nil {
			_, err = Count(calls)
		}
		if err == nil {
			t.Errorf("half a message is taken: %q", dump)
		}
	}
}

func TestSleepsWithoutThePeriodic(t *testing.T) {
	noted := "# tracer: nop\n#\n" +
		"  nri-sriov-312 [001] ..... 98.1: time_newtimer: (0x4d6180) duration=7000000\n" +
		"  nri-sriov-312 [001] ..... 98.2: time_newtimer: (0x4d6180) duration=5000000000\n"
	got, err := Sleeps(noted, 5*time.Second)
	if want := []time.Duration{7 * time.Millisecond}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, not %v", got, err, want)
	}
}

// TestProbes builds a program that sleeps in Go, and one that does so in a system call.
func TestProbes(t *testing.T) {
	for name, test := range map[string]struct{ imported, call, want string }{
		"Go":          {"time", "time.Sleep(1); <-time.After(2)", ""},
		"system call": {"syscall", "_ = syscall.Nanosleep(&syscall.Timespec{}, nil)", "syscall.Nanosleep"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
			text := "package main\n\nimport \"" + test.imported + "\"\n\nfunc main() { " + test.call + " }\n"
			if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if output, err := exec.Command("go", "build", "-trimpath", "-o", program, source).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			probes, err := Probes(program, "/in/the/guest")
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, %v", probes, err)
				}
				return
			}
			if err != nil || len(probes) != 2 || !strings.HasPrefix(probes[0], "p:time_") || !strings.Contains(probes[0], " /in/the/guest:0x") {
				t.Errorf("%q, %v", probes, err)
			}
		})
	}
}
