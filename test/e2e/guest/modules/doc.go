// Package modules orders kernel modules for loading from the text that depmod
// writes. It reads no file and loads nothing, so that both sides of the lab
// use it: the host to choose what an initramfs needs, the guest to load it.
package modules
