//go:build linux && arm

package audio

// Sizes of the kernel's structures on 32-bit ARM (EABI: longs have 32 bits,
// 64-bit integers are aligned to 8).
const (
	sizeHWParams  = 604
	sizeSWParams  = 104
	sizeXferi     = 12
	sizeElemID    = 64
	sizeElemList  = 72
	sizeElemInfo  = 272
	sizeElemValue = 712
)
