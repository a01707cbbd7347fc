package drivertest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// ASCII gives the ASCII frame that stands for an RTU frame, written anew here as
// the standard draws it (Serial Line V1.02, sections 2.5.2 and 6.2.1). Bytes
// before the frame stay noise; what holds no RTU frame becomes one whose sum is
// wrong.
func ASCII(rtu []byte) []byte {
	for i := 0; i+4 <= len(rtu); i++ {
		f := rtu[i:]
		if lo, hi := CRC(f[:len(f)-2]); lo == f[len(f)-2] && hi == f[len(f)-1] {
			return append(append([]byte(nil), rtu[:i]...), asciiFrame(f[:len(f)-2], 0)...)
		}
	}
	return asciiFrame(rtu[:max(0, len(rtu)-2)], 1)
}

func asciiFrame(body []byte, wrong int) []byte {
	sum := wrong
	for _, b := range body {
		sum += int(b)
	}
	return fmt.Appendf(nil, ":%s%02X\r\n", strings.ToUpper(hex.EncodeToString(body)), (256-sum%256)%256)
}

// cutASCII takes the first request out of what was heard and gives it as an RTU
// frame.
func cutASCII(p []byte) (frame, rest []byte) {
	for {
		end := bytes.Index(p, []byte("\r\n"))
		if end < 0 {
			return nil, p
		}
		text := p[:end]
		p = p[end+2:]
		text = text[bytes.LastIndexByte(text, ':')+1:]
		b, err := hex.DecodeString(string(text))
		if err != nil || len(b) < 3 {
			continue
		}
		sum := 0
		for _, x := range b {
			sum += int(x)
		}
		if sum%256 != 0 {
			continue
		}
		return Frame(b[0], b[1:len(b)-1]), p
	}
}
