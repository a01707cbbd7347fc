//go:build linux

package audio

import "unsafe"

// Structures of <sound/asound.h>. snd_pcm_uframes_t, snd_pcm_sframes_t and the
// integer values of a control are C longs, Go's uint and int on every machine
// that we build for. The sizes are part of the ioctl numbers; layout_32.go and
// layout_64.go hold them to the kernel's.

type interval struct {
	min, max uint32
	flags    uint32 // bit 0 openmin, 1 openmax, 2 integer, 3 empty
}

type hwParams struct {
	flags     uint32
	masks     [8][8]uint32 // 3 used: access, format, subformat
	intervals [21]interval // 12 used, from sampleBits on
	rmask     uint32
	cmask     uint32
	info      uint32
	msbits    uint32
	rateNum   uint32
	rateDen   uint32
	fifo      uint
	_         [64]byte
}

// Indexes into masks, and into intervals after firstInterval.
const (
	paramAccess     = 0
	paramFormat     = 1
	firstInterval   = 8
	paramChannels   = 10
	paramRate       = 11
	paramPeriodSize = 13
	paramPeriods    = 15
	paramBufferSize = 17

	accessInterleaved = 3 // SNDRV_PCM_ACCESS_RW_INTERLEAVED
	formatS16LE       = 2
)

type swParams struct {
	tstampMode       int32
	periodStep       uint32
	sleepMin         uint32
	availMin         uint
	xferAlign        uint
	startThreshold   uint
	stopThreshold    uint
	silenceThreshold uint
	silenceSize      uint
	boundary         uint
	proto            uint32
	tstampType       uint32
	_                [56]byte
}

type xferi struct {
	result int
	buf    unsafe.Pointer
	frames uint
}

// elemID names a control of the mixer.
type elemID struct {
	numid     uint32
	iface     int32
	device    uint32
	subdevice uint32
	name      [44]byte
	index     uint32
}

type elemList struct {
	offset uint32
	space  uint32
	used   uint32
	count  uint32
	ids    unsafe.Pointer
	_      [50]byte
}

type elemInfo struct {
	id     elemID
	kind   int32
	access uint32
	count  uint32
	owner  int32
	// value is a union; its integer member is min, max, step as longs.
	value [128]byte
	_     [64]byte
}

type elemValue struct {
	id       elemID
	indirect uint32
	// The union below holds 64-bit members, which both ARM EABI and the 64-bit
	// ABIs align to 8.
	_     [4]byte
	value [128]int
	_     [128]byte
}

// Kinds and access of a control.
const (
	elemBoolean = 1
	elemInteger = 2
	ifaceMixer  = 2
	accessWrite = 2
)

// ioctl numbers: direction << 30 | size << 16 | type << 8 | number (asm-generic).
const (
	ioNone  = 0
	ioWrite = 1 << 30
	ioRead  = 2 << 30
	ioBoth  = ioWrite | ioRead

	pcmHWParams  = ioBoth | unsafe.Sizeof(hwParams{})<<16 | 'A'<<8 | 0x11
	pcmSWParams  = ioBoth | unsafe.Sizeof(swParams{})<<16 | 'A'<<8 | 0x13
	pcmDelay     = ioRead | unsafe.Sizeof(int(0))<<16 | 'A'<<8 | 0x21
	pcmPrepare   = ioNone | 'A'<<8 | 0x40
	pcmStart     = ioNone | 'A'<<8 | 0x42
	pcmDrop      = ioNone | 'A'<<8 | 0x43
	pcmDrain     = ioNone | 'A'<<8 | 0x44
	pcmResume    = ioNone | 'A'<<8 | 0x47
	pcmWriteI    = ioWrite | unsafe.Sizeof(xferi{})<<16 | 'A'<<8 | 0x50
	ctlElemList  = ioBoth | unsafe.Sizeof(elemList{})<<16 | 'U'<<8 | 0x10
	ctlElemInfo  = ioBoth | unsafe.Sizeof(elemInfo{})<<16 | 'U'<<8 | 0x11
	ctlElemRead  = ioBoth | unsafe.Sizeof(elemValue{})<<16 | 'U'<<8 | 0x12
	ctlElemWrite = ioBoth | unsafe.Sizeof(elemValue{})<<16 | 'U'<<8 | 0x13
)

// The compiler holds every size to the kernel's: an array of a negative or a
// too large size does not compile.
var (
	_ [unsafe.Sizeof(hwParams{}) - sizeHWParams]struct{}
	_ [sizeHWParams - unsafe.Sizeof(hwParams{})]struct{}
	_ [unsafe.Sizeof(swParams{}) - sizeSWParams]struct{}
	_ [sizeSWParams - unsafe.Sizeof(swParams{})]struct{}
	_ [unsafe.Sizeof(xferi{}) - sizeXferi]struct{}
	_ [sizeXferi - unsafe.Sizeof(xferi{})]struct{}
	_ [unsafe.Sizeof(elemID{}) - sizeElemID]struct{}
	_ [sizeElemID - unsafe.Sizeof(elemID{})]struct{}
	_ [unsafe.Sizeof(elemList{}) - sizeElemList]struct{}
	_ [sizeElemList - unsafe.Sizeof(elemList{})]struct{}
	_ [unsafe.Sizeof(elemInfo{}) - sizeElemInfo]struct{}
	_ [sizeElemInfo - unsafe.Sizeof(elemInfo{})]struct{}
	_ [unsafe.Sizeof(elemValue{}) - sizeElemValue]struct{}
	_ [sizeElemValue - unsafe.Sizeof(elemValue{})]struct{}
)
