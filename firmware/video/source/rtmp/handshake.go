package rtmp

import (
	"bufio"
	"crypto/rand"
	"io"

	"tocsin/firmware/phrase"
)

// handshakeSize is that of C1, C2, S1 and S2 (5.2.3).
const handshakeSize = 1536

// version of RTMP (5.2.2); 6, 8 and 9 are its encrypted kin, which are not spoken.
const version = 3

// handshake is the server's side (5.2). Its S1 says version 0, by which encoders that would
// sign theirs know that nothing is signed; what C2 holds is theirs to say.
func handshake(r *bufio.Reader, w io.Writer) error {
	v, err := r.ReadByte()
	if err != nil {
		return err
	}
	switch {
	case v == 0x16: // a TLS record of handshake type (RFC 8446, 5.1)
		return phrase.E("rtmp.tls")
	case v == 6 || v == 8 || v == 9:
		return phrase.E("rtmp.encrypted")
	case v >= 32: // not allowed, so that text protocols are told apart (5.2.2)
		return phrase.E("rtmp.not_rtmp")
	}
	var s [1 + 2*handshakeSize]byte
	c1 := s[1+handshakeSize:]
	if _, err := io.ReadFull(r, c1); err != nil {
		return err
	}
	s[0] = version
	if _, err := rand.Read(s[1+8 : 1+handshakeSize]); err != nil {
		return err
	}
	clear(c1[4:8]) // S2 is C1 with the time it was read at, which nobody uses
	if _, err := w.Write(s[:]); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, r, handshakeSize)
	return err
}
