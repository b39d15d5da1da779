package lab

import (
	"strings"
	"testing"
)

func TestCheckVersion(t *testing.T) {
	for _, test := range []struct{ text, wantErr string }{
		{text: "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\nCopyright (c) 2003-2025"},
		{text: "QEMU emulator version 8.2.2\n"},
		{text: "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n", wantErr: "7.2.22 has no igb"},
		{text: "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2~bpo12+1)\n", wantErr: "never get a carrier"},
		{text: "qemu: not found", wantErr: "no version in"},
		{wantErr: "no version in"},
	} {
		t.Run(strings.TrimSpace(test.text), func(t *testing.T) {
			err := checkVersion(test.text)
			if test.wantErr == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("got error %v, want one with %q", err, test.wantErr)
			}
		})
	}
}
