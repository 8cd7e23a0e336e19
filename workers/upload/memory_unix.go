//go:build unix

package upload

import "syscall"

// mapMemory returns memory outside the garbage-collected heap: its pages become resident only as
// they are touched, they are gone at once when unmapped, and they do not stretch the collector's
// next goal by their own size.
func mapMemory(size int) ([]byte, error) {
	return syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

// unmapMemory frees memory of mapMemory. It fails only for an address that is none.
func unmapMemory(buf []byte) {
	if err := syscall.Munmap(buf); err != nil {
		panic("unmapping a part buffer: " + err.Error())
	}
}
