package lab

import (
	"strings"
	"testing"
)

func TestArchiveURI(t *testing.T) {
	for _, test := range []struct {
		name, targets, want, wantErr string
	}{
		{
			name: "the release among other archives, its security and its updates",
			targets: `Packages||Vendor|main|stable|https://vendor.example/apt/
Packages|Debian|Debian-Security|main|bookworm-security|http://mirror.example/debian-security/
DEP-11|Debian|Debian|main|bookworm|http://wrong.example/debian/
Packages|Debian|Debian|contrib|bookworm|http://wrong.example/debian/
Packages|Debian|Debian|main|bookworm-updates|http://wrong.example/debian/
Packages|Debian|Debian|main|bookworm|http://mirror.example/debian/
`,
			want: "http://mirror.example/debian/",
		},
		{name: "a release by its role", targets: "Packages|Debian|Debian|main|stable|http://mirror.example/debian/", want: "http://mirror.example/debian/"},
		{name: "backports only", targets: "Packages|Debian|Debian Backports|main|bookworm-backports|http://mirror.example/debian/", wantErr: mirrorEnv},
		{name: "another distribution", targets: "Packages|Ubuntu|Ubuntu|main|noble|http://mirror.example/ubuntu/", wantErr: mirrorEnv},
		{name: "nothing", wantErr: mirrorEnv},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := archiveURI(test.targets)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("got %q and error %v, want one with %q", got, err, test.wantErr)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
