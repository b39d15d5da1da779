package dpdk

import (
	"io/fs"
	"syscall"
)

func rawNumber(info fs.FileInfo) (uint64, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Rdev, true
}
