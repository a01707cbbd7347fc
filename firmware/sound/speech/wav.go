package speech

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds on a WAV file from outside.
const (
	maxWAV     = 32 << 20
	minRate    = 8000
	maxRate    = 96000
	maxWAVChan = 2
)

// ErrWAV is wrapped by every error of ReadWAV.
var ErrWAV = errors.New("not a WAV file of 16-bit samples (one or two channels) or IMA ADPCM (one), 8 to 96 kHz")

func badWAV(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrWAV, fmt.Sprintf(format, a...))
}

// PCM is sound of one channel.
type PCM struct {
	Rate    int // samples a second
	Samples []int16
}

// ReadWAV reads a RIFF/WAVE file of uncompressed 16-bit samples, of which two channels
// are averaged into one, or of one channel of IMA ADPCM. A file whose data chunk says more than is there (a
// recording that was cut off) gives what is there. Errors wrap ErrWAV.
//
// Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM
// and Microsoft, 1991), RIFF and WAVE; WAVE_FORMAT_EXTENSIBLE as in mmreg.h.
func ReadWAV(r io.Reader) (PCM, error) {
	w, err := parseWAV(r)
	return w.pcm(), err
}

// wav is what a file holds: samples, or packed ones.
type wav struct {
	rate    int
	samples []int16
	packed  packed
}

func (w wav) pcm() PCM {
	if w.packed.n == 0 {
		return PCM{Rate: w.rate, Samples: w.samples}
	}
	return PCM{Rate: w.rate, Samples: unpackIMA(nil, w.packed)}
}

// parseWAV reads a file and leaves packed samples packed.
func parseWAV(r io.Reader) (wav, error) {
	bad := func(format string, a ...any) (wav, error) { return wav{}, badWAV(format, a...) }
	b, err := io.ReadAll(io.LimitReader(r, maxWAV+1))
	if err != nil {
		return wav{}, fmt.Errorf("reading a WAV file: %w", err)
	}
	if len(b) > maxWAV {
		return bad("longer than %d MiB", maxWAV>>20)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return bad("no RIFF header")
	}
	le := binary.LittleEndian
	var rate, channels, block int
	samples := -1
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int64(le.Uint32(b[4:]))
		body := b[8:]
		if size < int64(len(body)) {
			body = body[:size]
		}
		switch id {
		case "fmt ":
			if len(body) < 16 {
				return bad("a format chunk of %d bytes", len(body))
			}
			code, bits := le.Uint16(body), le.Uint16(body[14:])
			if code == 0xfffe && len(body) >= 26 {
				code = le.Uint16(body[24:])
			}
			channels, rate = int(le.Uint16(body[2:])), int(le.Uint32(body[4:]))
			switch align := int(le.Uint16(body[12:])); {
			case code == formatPCM && bits == 16:
			case code == formatIMA && bits == 4 && channels == 1 && align > 4 && align <= imaMost:
				block = align
			default:
				return bad("format %d with %d bits, %d channels, blocks of %d bytes", code, bits, channels, align)
			}
			if channels < 1 || channels > maxWAVChan || rate < minRate || rate > maxRate {
				return bad("%d channels at %d Hz", channels, rate)
			}
		case "fact":
			if len(body) >= 4 {
				samples = int(le.Uint32(body))
			}
		case "data":
			if rate == 0 {
				return bad("samples before their format")
			}
			if block > 0 {
				p, err := packIMA(body, block, samples)
				return wav{rate: rate, packed: p}, err
			}
			return wav{rate: rate, samples: mono(body, channels)}, nil
		}
		// Chunks are padded to an even length.
		next := 8 + size + size&1
		if next > int64(len(b)) {
			break
		}
		b = b[next:]
	}
	return bad("no samples")
}

func mono(b []byte, channels int) []int16 {
	s := make([]int16, len(b)/(2*channels))
	for i := range s {
		sum := 0
		for c := range channels {
			sum += int(int16(binary.LittleEndian.Uint16(b[2*(i*channels+c):])))
		}
		s[i] = int16(sum / channels)
	}
	return s
}

// header gives the 44 bytes before n samples (of all channels together).
func header(rate, channels, n int) []byte {
	le := binary.LittleEndian
	b := append([]byte("RIFF"), make([]byte, 40)...)
	le.PutUint32(b[4:], uint32(36+2*n))
	copy(b[8:], "WAVEfmt ")
	le.PutUint32(b[16:], 16)
	le.PutUint16(b[20:], 1)
	le.PutUint16(b[22:], uint16(channels))
	le.PutUint32(b[24:], uint32(rate))
	le.PutUint32(b[28:], uint32(rate*channels*2))
	le.PutUint16(b[32:], uint16(channels*2))
	le.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	le.PutUint32(b[40:], uint32(2*n))
	return b
}

func pack(dst []byte, s []int16) []byte {
	for _, v := range s {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(v))
	}
	return dst
}

// WriteWAV writes p as a WAV file.
func WriteWAV(w io.Writer, p PCM) error {
	if _, err := w.Write(pack(header(p.Rate, 1, len(p.Samples)), p.Samples)); err != nil {
		return fmt.Errorf("writing a WAV file: %w", err)
	}
	return nil
}
