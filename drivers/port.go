package drivers

import "time"

// Port is a serial port or a byte stream in its place. Write returns when the
// kernel has the bytes. Received bytes arrive in chunks with their time.
type Port interface {
	Write(p []byte) (int, error)
	// Received delivers what was heard, in order. It is closed when the port is
	// gone or closed; Err then says why.
	Received() <-chan Chunk
	// Expect hints how many more bytes are due, so that the reader need not
	// wake for each of them.
	Expect(n int)
	// Discard drops everything that was received and not yet taken.
	Discard()
	Err() error
	Close() error
	String() string
}

// Chunk is what was heard at one instant.
type Chunk struct {
	At time.Time
	B  []byte
}
