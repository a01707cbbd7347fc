package powercut

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// The part of the FUSE protocol (include/uapi/linux/fuse.h, 7.31) that a file system
// of one file needs: its root is the file.
const (
	opGetattr = 3
	opForget  = 2
	opSetattr = 4
	opOpen    = 14
	opRead    = 15
	opWrite   = 16
	opRelease = 18
	opFsync   = 20
	opFlush   = 25
	opInit    = 26
	opIntr    = 36
	opDestroy = 38
	opForgets = 42

	flagBigWrites = 1 << 5
	flagMaxPages  = 1 << 22
	openDirect    = 1 << 0

	maxWrite  = 256 << 10
	inHeader  = 40
	outHeader = 16
)

var le = binary.NativeEndian

// serve answers the kernel until the file system is unmounted.
func (d *disk) serve(fd int) {
	defer unix.Close(fd)
	buf := make([]byte, maxWrite+8192)
	for {
		n, err := unix.Read(fd, buf)
		switch err {
		case nil:
		case unix.EINTR, unix.EAGAIN, unix.ENOENT:
			continue
		default:
			return // ENODEV: unmounted
		}
		if n < inHeader {
			continue
		}
		op, unique := le.Uint32(buf[4:]), le.Uint64(buf[8:])
		switch op {
		case opForget, opForgets, opIntr:
			continue // not answered
		}
		body, errno := d.answer(op, buf[inHeader:n])
		out := make([]byte, outHeader, outHeader+len(body))
		if errno != 0 {
			body = nil
		}
		le.PutUint32(out[0:], uint32(outHeader+len(body)))
		le.PutUint32(out[4:], uint32(-int32(errno)))
		le.PutUint64(out[8:], unique)
		unix.Write(fd, append(out, body...))
	}
}

func (d *disk) answer(op uint32, in []byte) ([]byte, syscall.Errno) {
	switch op {
	case opInit:
		out := make([]byte, 64)
		le.PutUint32(out[0:], 7)
		le.PutUint32(out[4:], 31)
		le.PutUint32(out[8:], le.Uint32(in[8:])) // read-ahead
		le.PutUint32(out[12:], flagBigWrites|flagMaxPages)
		le.PutUint16(out[16:], 64) // in the background
		le.PutUint16(out[18:], 48) // congested
		le.PutUint32(out[20:], maxWrite)
		le.PutUint32(out[24:], 1)
		le.PutUint16(out[28:], maxWrite/4096)
		return out, 0
	case opGetattr, opSetattr:
		out := make([]byte, 104)
		le.PutUint64(out[0:], 3600)
		a := out[16:]
		le.PutUint64(a[0:], 1)
		le.PutUint64(a[8:], uint64(len(d.view)))
		le.PutUint64(a[16:], uint64(len(d.view)/sector))
		le.PutUint32(a[60:], syscall.S_IFREG|0o600)
		le.PutUint32(a[64:], 1)
		le.PutUint32(a[80:], 4096)
		return out, 0
	case opOpen:
		out := make([]byte, 16)
		le.PutUint32(out[8:], openDirect)
		return out, 0
	case opRead:
		return d.read(int64(le.Uint64(in[8:])), int(le.Uint32(in[16:])))
	case opWrite:
		size := int(le.Uint32(in[16:]))
		if len(in) < 40+size {
			return nil, syscall.EINVAL
		}
		errno := d.write(int64(le.Uint64(in[8:])), in[40:40+size])
		out := make([]byte, 8)
		le.PutUint32(out, uint32(size))
		return out, errno
	case opFsync:
		return nil, d.flush()
	case opFlush, opRelease, opDestroy:
		return nil, 0
	}
	return nil, syscall.ENOSYS
}

// mountFile mounts the disk as a file upon an existing file and serves it. done is
// closed when the kernel has let go of it.
func (d *disk) mountFile(at string) (done chan struct{}, err error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/fuse: %w", err)
	}
	opts := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0", fd, syscall.S_IFREG)
	if err := unix.Mount("powercut", at, "fuse", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mounting FUSE: %w", err)
	}
	done = make(chan struct{})
	go func() { d.serve(fd); close(done) }()
	return done, nil
}
