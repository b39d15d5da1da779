package dpdk

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// parseNumber reads the file dev that sysfs has for a device with a node: major:minor in decimal and a newline
// (the kernel's print_dev_t). A major has 12 bits and a minor 20.
func parseNumber(text string) (major, minor int64, err error) {
	before, after, ok := strings.Cut(strings.TrimSuffix(text, "\n"), ":")
	if !ok {
		return 0, 0, fmt.Errorf("%q is not a device number such as 10:196", text)
	}
	first, err1 := strconv.ParseUint(before, 10, 12)
	second, err2 := strconv.ParseUint(after, 10, 20)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("%q is not a device number such as 10:196", text)
	}
	return int64(first), int64(second), nil
}

// numberOf takes the number of a character device from its node.
func numberOf(info fs.FileInfo) (major, minor int64, err error) {
	number, ok := rawNumber(info)
	if info.Mode()&fs.ModeCharDevice == 0 || !ok {
		return 0, 0, fmt.Errorf("it is no character device but %s", info.Mode())
	}
	// See glibc's gnu_dev_major and gnu_dev_minor.
	return int64(number>>8&0xfff | number>>32&0xfffff000), int64(number&0xff | number>>12&0xffffff00), nil
}
