//go:build linux

package audio

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"tocsin/drivers"
)

// board is a kernel with one sound card, written from the kernel's behaviour
// (sound/core/pcm_native.c, pcm_lib.c): a stream plays in time, runs dry with
// EPIPE, gives EAGAIN where it would wait. The real kernel's proof is made with
// the board image.
type board struct {
	mu sync.Mutex

	list     string
	formats  []drivers.Format // what the card plays
	busy     bool
	gone     bool // unplugged
	frozen   bool // takes samples and never plays them
	odd      int  // if set, the only period size that the card has
	controls []*control
	noMixer  bool

	fds    map[int]string
	opened []string

	f              drivers.Format
	period, buffer int
	state          string // open, prepared, running, draining, setup, xrun, suspended
	heard          []int16
	queue          []int16
	last           time.Time
	start, stop    int
	most           int // the most frames that waited at once
}

type control struct {
	name     string
	kind     int32
	lo, hi   int
	values   []int
	readOnly bool
	iface    int32
	writes   int
}

const onePCH = ` 0 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xf7210000 irq 32
 1 [Device         ]: USB-Audio - USB Audio Device
                      C-Media USB Audio Device at usb-0000:00:14.0-1, full speed
`

func (b *board) cards() ([]byte, error) {
	if b.list == "" {
		return nil, syscall.ENOENT
	}
	return []byte(b.list), nil
}

func (b *board) open(path string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = append(b.opened, path)
	if b.gone {
		return -1, fmt.Errorf("open %s: %w", path, syscall.ENOENT)
	}
	if strings.Contains(path, "control") && b.noMixer {
		return -1, fmt.Errorf("open %s: %w", path, syscall.EACCES)
	}
	if strings.Contains(path, "pcm") {
		if b.busy {
			return -1, fmt.Errorf("open %s: %w", path, syscall.EBUSY)
		}
		b.state = "open"
	}
	if b.fds == nil {
		b.fds = map[int]string{}
	}
	fd := 3 + len(b.opened)
	b.fds[fd] = path
	return fd, nil
}

func (b *board) close(fd int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.fds[fd]; !ok {
		return syscall.EBADF
	}
	delete(b.fds, fd)
	return nil
}

func (b *board) wait(_ int, d time.Duration) { time.Sleep(d / 4) }

// advance plays what the time since the last call allows.
func (b *board) advance() {
	now := time.Now()
	d := now.Sub(b.last)
	b.last = now
	if b.frozen || b.state != "running" && b.state != "draining" {
		return
	}
	due := int(d * time.Duration(b.f.Rate) / time.Second)
	b.last = now.Add(-(d - time.Duration(due)*time.Second/time.Duration(b.f.Rate)))
	n := min(due*b.f.Channels, len(b.queue))
	b.heard = append(b.heard, b.queue[:n]...)
	b.queue = b.queue[n:]
	if b.state == "draining" && len(b.queue) == 0 {
		b.state = "setup"
	}
	if b.state == "running" && b.buffer-len(b.queue)/b.f.Channels >= b.stop {
		b.state = "xrun"
	}
}

func (b *board) ioctl(fd int, req uintptr, arg unsafe.Pointer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	path, ok := b.fds[fd]
	if !ok {
		return syscall.EBADF
	}
	if b.gone {
		return syscall.ENODEV
	}
	if strings.Contains(path, "control") {
		return b.control(req, arg)
	}
	b.advance()
	switch req {
	case pcmHWParams:
		return b.params((*hwParams)(arg))
	case pcmSWParams:
		p := (*swParams)(arg)
		if p.availMin == 0 {
			return syscall.EINVAL
		}
		b.start, b.stop = int(p.startThreshold), int(p.stopThreshold)
	case pcmPrepare:
		if b.state == "open" {
			return syscall.EBADFD
		}
		b.state, b.queue = "prepared", nil
	case pcmWriteI:
		return b.write((*xferi)(arg))
	case pcmDelay:
		switch b.state {
		case "xrun":
			return syscall.EPIPE
		case "open", "setup":
			return syscall.EBADFD
		}
		*(*int)(arg) = len(b.queue) / b.f.Channels
	case pcmDrain:
		switch b.state {
		case "xrun", "setup":
			b.state = "setup"
			return nil
		case "open":
			return syscall.EBADFD
		}
		b.state = "draining"
		b.last = time.Now()
		return syscall.EAGAIN
	case pcmDrop:
		if b.state == "open" {
			return syscall.EBADFD
		}
		b.state, b.queue = "setup", nil
	case pcmResume:
		return syscall.ENOSYS
	default:
		return syscall.ENOTTY
	}
	return nil
}

func (b *board) params(p *hwParams) error {
	one := func(mask, bit int) bool { return p.masks[mask][bit/32]&(1<<(bit%32)) != 0 }
	iv := func(k int) interval { return p.intervals[k-firstInterval] }
	f := drivers.Format{Rate: int(iv(paramRate).min), Channels: int(iv(paramChannels).min)}
	period := int(iv(paramPeriodSize).min)
	if b.odd > 0 {
		if b.odd < period || b.odd > int(iv(paramPeriodSize).max) {
			return syscall.EINVAL
		}
		period = b.odd
	}
	buffer := int(iv(paramBufferSize).max) / period * period
	if !one(0, accessInterleaved) || !one(1, formatS16LE) || !slices.Contains(b.formats, f) || buffer < 2*period {
		return syscall.EINVAL
	}
	b.f, b.period, b.buffer, b.state = f, period, buffer, "setup"
	p.intervals[paramPeriodSize-firstInterval] = interval{min: uint32(period), max: uint32(period)}
	p.intervals[paramBufferSize-firstInterval] = interval{min: uint32(buffer), max: uint32(buffer)}
	return nil
}

func (b *board) write(x *xferi) error {
	switch b.state {
	case "xrun":
		return syscall.EPIPE
	case "suspended":
		return syscall.ESTRPIPE
	case "prepared", "running":
	default:
		return syscall.EBADFD
	}
	room := b.buffer - len(b.queue)/b.f.Channels
	n := min(room, int(x.frames))
	if n == 0 {
		return syscall.EAGAIN
	}
	b.queue = append(b.queue, unsafe.Slice((*int16)(x.buf), n*b.f.Channels)...)
	b.most = max(b.most, len(b.queue)/b.f.Channels)
	x.result = n
	if b.state == "prepared" && len(b.queue)/b.f.Channels >= b.start {
		b.state, b.last = "running", time.Now()
	}
	return nil
}

func (b *board) control(req uintptr, arg unsafe.Pointer) error {
	id := func(i int) (id elemID) {
		id.numid, id.iface = uint32(i+1), b.controls[i].iface
		if id.iface == 0 {
			id.iface = ifaceMixer
		}
		copy(id.name[:], b.controls[i].name)
		return id
	}
	switch req {
	case ctlElemList:
		l := (*elemList)(arg)
		l.count, l.used = uint32(len(b.controls)), 0
		if l.ids != nil {
			for i, e := range unsafe.Slice((*elemID)(l.ids), l.space) {
				_ = e
				if i < len(b.controls) {
					unsafe.Slice((*elemID)(l.ids), l.space)[i] = id(i)
					l.used++
				}
			}
		}
	case ctlElemInfo:
		in := (*elemInfo)(arg)
		c := b.controls[in.id.numid-1]
		in.kind, in.count, in.access = c.kind, uint32(len(c.values)), 3
		if c.readOnly {
			in.access = 1
		}
		if unsafe.Sizeof(uint(0)) == 8 {
			binary.NativeEndian.PutUint64(in.value[0:], uint64(c.lo))
			binary.NativeEndian.PutUint64(in.value[8:], uint64(c.hi))
		} else {
			binary.NativeEndian.PutUint32(in.value[0:], uint32(c.lo))
			binary.NativeEndian.PutUint32(in.value[4:], uint32(c.hi))
		}
	case ctlElemRead, ctlElemWrite:
		v := (*elemValue)(arg)
		c := b.controls[v.id.numid-1]
		for i := range c.values {
			if req == ctlElemRead {
				v.value[i] = c.values[i]
			} else {
				c.values[i] = v.value[i]
			}
		}
		if req == ctlElemWrite {
			c.writes++
		}
	default:
		return syscall.ENOTTY
	}
	return nil
}
