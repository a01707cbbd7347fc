package station

import (
	"io"
	"sync/atomic"

	"tocsin/firmware/serve/api"
)

// A release of sixty MiB takes a stick a minute, and a thin link a night: who waits for it sees
// how far it is.

// coming is a release that is being brought.
type coming struct {
	by  string
	of  int64
	got func() int64
}

// comes tells of one until done is called. One that begins meanwhile is the one that is told.
func (h *House) comes(by string, of int64, got func() int64) (done func()) {
	c := &coming{by: by, of: max(0, of), got: got}
	h.updates.coming.Store(c)
	return func() { h.updates.coming.CompareAndSwap(c, nil) }
}

func (h *House) viewComing() *api.Coming {
	c := h.updates.coming.Load()
	if c == nil {
		return nil
	}
	return &api.Coming{By: c.by, Got: c.got(), Of: c.of}
}

// counted counts what was read.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// sized is a reader whose length is known.
type sized struct {
	io.Reader
	size int64
}

func (s sized) Size() int64 { return s.size }

// sizeOf is how many bytes a reader will give; 0 for nobody knows.
func sizeOf(r io.Reader) int64 {
	if s, ok := r.(interface{ Size() int64 }); ok {
		return s.Size()
	}
	return 0
}
