package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCPIO reads what is written, by the format's own rules: a header of 110
// characters, the name and the content, each filled up to a multiple of four.
func TestCPIO(t *testing.T) {
	var c cpio
	c.folder("dev")
	c.file("init", 0o755, []byte("hello"))
	c.file("empty", 0o600, nil)
	data := c.end()
	var got []string
	for rest := data; ; {
		if len(rest) < 110 || string(rest[:6]) != "070701" {
			t.Fatalf("no header where one must be, after %q", got)
		}
		field := func(n int) int {
			value, err := strconv.ParseUint(string(rest[6+8*n:14+8*n]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(value)
		}
		mode, size, length := field(1), field(6), field(11)
		name := string(rest[110 : 110+length-1])
		if name == "TRAILER!!!" {
			break
		}
		begin := (110 + length + 3) &^ 3
		got = append(got, fmt.Sprintf("%s %o %q", name, mode, rest[begin:begin+size]))
		rest = rest[(begin+size+3)&^3:]
	}
	want := []string{`dev 40755 ""`, `init 100755 "hello"`, `empty 100600 ""`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestModuleOrder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"modules.dep":     "kernel/fs/ext4.ko.xz: kernel/fs/jbd2.ko.xz\nkernel/fs/jbd2.ko.xz:\n",
		"modules.builtin": "kernel/drivers/virtio_blk.ko\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := moduleOrder(kernelFiles{modules: dir}, []string{"virtio_blk", "ext4"})
	if err != nil || strings.Join(got, " ") != "kernel/fs/jbd2.ko.xz kernel/fs/ext4.ko.xz" {
		t.Errorf("got %q, %v", got, err)
	}
}
