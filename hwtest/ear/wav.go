package ear

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// ErrNotSound is what is no 16-bit PCM WAV.
var ErrNotSound = errors.New("not a 16-bit PCM WAV")

// errMore: the header is not all there yet.
var errMore = errors.New("header is not complete")

// head is a WAV file's header.
type head struct {
	rate, channels int
	data           int // where the samples begin
	size           int // of the samples in bytes, as the header has it
}

// longestHead bounds what may come before the samples.
const longestHead = 64 << 10

// readHead reads a header from the beginning of a file. It gives errMore if p
// is too short to tell, ErrNotSound if it can never become one.
func readHead(p []byte) (h head, err error) {
	if len(p) < 12 {
		for i, c := range []byte("RIFF") {
			if i < len(p) && p[i] != c {
				return h, ErrNotSound
			}
		}
		return h, errMore
	}
	if string(p[:4]) != "RIFF" || string(p[8:12]) != "WAVE" {
		return h, ErrNotSound
	}
	le := binary.LittleEndian
	for at := 12; ; {
		if at > longestHead {
			return h, ErrNotSound
		}
		if len(p) < at+8 {
			return h, errMore
		}
		id, size := string(p[at:at+4]), int(le.Uint32(p[at+4:]))
		if id == "data" {
			if h.rate == 0 {
				return h, fmt.Errorf("%w: samples before their format", ErrNotSound)
			}
			h.data, h.size = at+8, size
			return h, nil
		}
		if size > longestHead {
			return h, ErrNotSound
		}
		if len(p) < at+8+size {
			return h, errMore
		}
		if id == "fmt " {
			if size < 16 {
				return h, ErrNotSound
			}
			f := p[at+8:]
			h.channels, h.rate = int(le.Uint16(f[2:])), int(le.Uint32(f[4:]))
			form, bits := le.Uint16(f), le.Uint16(f[14:])
			if form != 1 && form != 0xFFFE || bits != 16 || h.channels < 1 || h.channels > 16 || h.rate < 1000 || h.rate > 400000 {
				return h, fmt.Errorf("%w: form %d, %d bits, %d channels, %d Hz", ErrNotSound, form, bits, h.channels, h.rate)
			}
		}
		at += 8 + size + size&1
	}
}

// mono mixes interleaved channels; what is left over of a sample stays in rest.
func mono(p []byte, channels int) (s []int16, rest []byte) {
	step := 2 * channels
	n := len(p) / step
	s = make([]int16, n)
	for i := range n {
		sum := 0
		for c := range channels {
			sum += int(int16(binary.LittleEndian.Uint16(p[i*step+2*c:])))
		}
		s[i] = int16(sum / channels)
	}
	return s, p[n*step:]
}

// Load reads a whole WAV file. Channels are mixed to one.
func Load(path string) (Sound, error) {
	p, err := os.ReadFile(path)
	if err != nil {
		return Sound{}, err
	}
	h, err := readHead(p)
	if err != nil {
		if err == errMore {
			err = fmt.Errorf("%w: cut in its header", ErrNotSound)
		}
		return Sound{}, fmt.Errorf("%s: %w", path, err)
	}
	p = p[h.data:]
	if h.size > 0 && h.size < len(p) {
		p = p[:h.size] // other chunks may follow
	}
	s, _ := mono(p, h.channels)
	return Sound{Rate: h.rate, Samples: s}, nil
}
