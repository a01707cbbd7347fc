package line

import (
	"bytes"
	"encoding/hex"
	"strings"
	"time"
)

// asciiPause ends an ASCII frame whose end never came (Serial Line V1.02,
// 2.5.2.1: up to one second may pass between characters).
const asciiPause = time.Second

// LRC is the check of an ASCII frame (Serial Line V1.02, 6.2.1): the bytes from
// address on, added without carry, and the sum's two's complement.
func LRC(p []byte) byte {
	sum := 0
	for _, b := range p {
		sum += int(b)
	}
	return byte(256 - sum%256)
}

// ASCIIFrame puts colon, LRC and CR LF round a PDU (2.5.2.1).
func ASCIIFrame(unit byte, pdu []byte) []byte {
	body := append([]byte{unit}, pdu...)
	body = append(body, LRC(body))
	return []byte(":" + strings.ToUpper(hex.EncodeToString(body)) + "\r\n")
}

// asciiBody gives address and PDU of a frame from colon to LF; nil where it is
// none.
func asciiBody(frame []byte) []byte {
	inside, ok := bytes.CutSuffix(frame, []byte("\r\n"))
	if inside, begun := bytes.CutPrefix(inside, []byte(":")); ok && begun {
		body := make([]byte, hex.DecodedLen(len(inside)))
		n, err := hex.Decode(body, inside)
		if err == nil && n >= 3 && n <= 255 && body[n-1] == LRC(body[:n-1]) {
			return body[:n-1]
		}
	}
	return nil
}

// heardASCII cuts what was heard into frames: a colon begins one wherever it
// comes, LF ends it.
func (l *Line) heardASCII() {
	for {
		if at := bytes.LastIndexByte(upToLF(l.rx), ':'); at > 0 {
			l.count.with(func(c *Counters) { c.BadFrames++ })
			l.rx = l.rx[at:]
		}
		end := bytes.IndexByte(l.rx, '\n')
		if end < 0 {
			return
		}
		frame, rest := l.rx[:end+1], len(l.rx)-end-1
		if body := asciiBody(frame); body != nil && !l.rxGarbled {
			// As the frame that it stands for in the other mode.
			l.accept(Frame(body[0], body[1:]), l.rxEnd.Add(-time.Duration(rest)*l.Char()))
		} else {
			l.count.with(func(c *Counters) { c.BadFrames++ })
		}
		l.rx, l.rxGarbled = l.rx[end+1:], false
	}
}

// upToLF is p up to its first LF.
func upToLF(p []byte) []byte {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return p[:i]
	}
	return p
}
