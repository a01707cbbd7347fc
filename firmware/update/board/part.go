package board

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"tocsin/firmware/update/slots"
)

// Part is a slot's partition, as init opened it: close on exec, and written only where it
// was asked for so.
type Part struct {
	*os.File
	size int64
}

// Size is the partition's.
func (p Part) Size() int64 { return p.size }

// Part has init open a slot: to read, either; to write, the one that does not run, and not
// while a trial is under way.
func (i Init) Part(slot string, write bool) (Part, error) {
	var p Part
	err := i.call(request{Do: "slot", Slot: slot, Write: write}, func(c *net.UnixConn) error {
		f, err := receive(c, "slot "+slot)
		if err != nil {
			return err
		}
		if p, err = partOf(f, write); err != nil {
			f.Close()
		}
		return err
	})
	return p, err
}

// Into has use write into a slot, which is open to that until use returns.
func (i Init) Into(slot string, use func(slots.Partition) error) error {
	p, err := i.Part(slot, true)
	if err != nil {
		return err
	}
	defer p.Close()
	return use(p)
}

func other(slot string) string {
	if slot == "A" {
		return "B"
	}
	return "A"
}

// partOf holds a descriptor to what was asked for.
func partOf(f *os.File, write bool) (Part, error) {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return Part{}, err
	}
	want := unix.O_RDONLY
	if write {
		want = unix.O_RDWR
	}
	if flags&unix.O_ACCMODE != want {
		return Part{}, fmt.Errorf("%s came open otherwise than it was asked for", f.Name())
	}
	size, err := f.Seek(0, io.SeekEnd)
	return Part{f, size}, err
}

// receive reads an answer with which one descriptor comes (unix(7), SCM_RIGHTS). Every one
// that came and is not given back is closed.
func receive(c *net.UnixConn, name string) (*os.File, error) {
	r := &withRights{c: c}
	_, err := hear(r)
	switch {
	case err != nil:
	case r.cut:
		err = errors.New("more came with the answer than there was room for")
	case len(r.fds) != 1:
		err = fmt.Errorf("%d descriptors came with the answer, and one was asked for", len(r.fds))
	default:
		return os.NewFile(uintptr(r.fds[0]), name), nil
	}
	for _, fd := range r.fds {
		_ = unix.Close(fd)
	}
	return nil, err
}

// withRights reads a connection, and keeps the descriptors that come on it. They are close
// on exec from the instant at which they are this process's: net has the kernel make them so
// (MSG_CMSG_CLOEXEC).
type withRights struct {
	c   *net.UnixConn
	fds []int
	cut bool // some did not fit, and the kernel closed them
}

func (r *withRights) Read(b []byte) (int, error) {
	rights := make([]byte, unix.CmsgSpace(4*4))
	n, m, flags, _, err := r.c.ReadMsgUnix(b, rights)
	if err != nil {
		return 0, err // net says -1 bytes
	}
	r.cut = r.cut || flags&unix.MSG_CTRUNC != 0
	all, err := unix.ParseSocketControlMessage(rights[:m])
	for _, msg := range all {
		if fds, err := unix.ParseUnixRights(&msg); err == nil {
			r.fds = append(r.fds, fds...)
		}
	}
	if err == nil && n == 0 && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}
