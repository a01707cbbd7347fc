package serial

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ear reads a terminal whose settings have been made, in place of the package
// that made them. That one leaves its descriptor with Go's poller, which wakes
// the program for each byte that comes, whether or not anybody wants it: at
// 9600 Bd a thousand times a second, which costs more than all that is done with
// the bytes. This one waits on an epoll of its own, where a descriptor is armed
// for one wake (EPOLLONESHOT, epoll_ctl(2)) and only while somebody reads; Go's
// poller sees that epoll alone. No thread is held meanwhile.
type ear struct {
	fd   int // not ours to close
	ep   int // poll's descriptor
	poll *os.File
	raw  syscall.RawConn
}

// newEar takes over the reading of a descriptor that does not block. It must
// outlive the ear.
func newEar(fd int) (*ear, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	// Go's poller takes only what does not block.
	err = unix.SetNonblock(ep, true)
	if err == nil {
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLONESHOT})
	}
	if err != nil {
		unix.Close(ep)
		return nil, err
	}
	e := &ear{fd: fd, ep: ep, poll: os.NewFile(uintptr(ep), "epoll")}
	if e.raw, err = e.poll.SyscallConn(); err == nil {
		err = e.poll.SetReadDeadline(time.Time{}) // fails where the poller did not take it
	}
	if err != nil {
		e.poll.Close()
		return nil, err
	}
	return e, nil
}

// Read is tty's: (0, io.EOF) where nothing came for readTimeout, and at once
// where the port hung up.
func (e *ear) Read(p []byte) (int, error) {
	for end := time.Now().Add(readTimeout); ; {
		n, err := unix.Read(e.fd, p)
		switch {
		case n > 0:
			return n, nil
		case err == unix.EINTR:
			continue
		case err == nil:
			return 0, io.EOF
		case err != unix.EAGAIN:
			return 0, err
		case !time.Now().Before(end):
			return 0, io.EOF
		}
		if err := e.wait(end); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
	}
}

// wait arms the descriptor and sleeps until there is something to read, the port
// hangs up, or the end.
func (e *ear) wait(end time.Time) error {
	if err := e.poll.SetReadDeadline(end); err != nil {
		return err
	}
	// What lies ready already wakes at once.
	if err := unix.EpollCtl(e.ep, unix.EPOLL_CTL_MOD, e.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}); err != nil {
		return err
	}
	return e.raw.Read(func(ep uintptr) bool {
		var got [1]unix.EpollEvent
		n, err := unix.EpollWait(int(ep), got[:], 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// Flush is tty's.
func (e *ear) Flush() error { return unix.IoctlSetInt(e.fd, unix.TCFLSH, unix.TCIOFLUSH) }

// Close lets go of the epoll; the descriptor stays.
func (e *ear) Close() error { return e.poll.Close() }
