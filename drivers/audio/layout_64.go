//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package audio

// Sizes of the kernel's structures where a long has 64 bits.
const (
	sizeHWParams  = 608
	sizeSWParams  = 136
	sizeXferi     = 24
	sizeElemID    = 64
	sizeElemList  = 80
	sizeElemInfo  = 272
	sizeElemValue = 1224
)
