package speech

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// IMA ADPCM: four bits a sample, a quarter of what plain samples take. What the horn and the
// valley leave of a voice is far below what that loses (a test holds the bank's clips to
// it), and a recording by a person may stay plain.
//
// Source: IMA Digital Audio Focus and Technical Working Groups, Recommended Practices for
// Enhancing Digital Audio Compatibility in Multimedia Systems 3.0 (1992), algorithm and tables; its
// WAVE form, format tag 0x11: Microsoft, New Multimedia Data Types and Data Techniques 3.0 (1994).

const (
	formatPCM = 1
	formatIMA = 0x11
	// imaBlock is the size of a block that is written, imaMost of one that is read.
	imaBlock = 512
	imaMost  = 8192
)

var imaIndex = [16]int{-1, -1, -1, -1, 2, 4, 6, 8, -1, -1, -1, -1, 2, 4, 6, 8}

var imaStep = [89]int{
	7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118, 130, 143, 157, 173, 190, 209,
	230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749,
	3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623,
	27086, 29794, 32767,
}

// ima is the state of one channel.
type ima struct{ value, index int }

// next takes four bits and gives the sample.
func (a *ima) next(code byte) int16 {
	step := imaStep[a.index]
	d := step >> 3
	for bit, part := range [...]int{step >> 2, step >> 1, step} {
		if code>>bit&1 == 1 {
			d += part
		}
	}
	if code&8 != 0 {
		d = -d
	}
	a.value = min(32767, max(-32768, a.value+d))
	a.index = min(len(imaStep)-1, max(0, a.index+imaIndex[code&15]))
	return int16(a.value)
}

// code gives the four bits whose sample is next to v.
func (a *ima) code(v int16) byte {
	d, step, code := int(v)-a.value, imaStep[a.index], byte(0)
	if d < 0 {
		d, code = -d, 8
	}
	for bit := 2; bit >= 0; bit-- {
		if d >= step {
			code |= 1 << bit
			d -= step
		}
		step >>= 1
	}
	return code
}

// packed is sound as it lies in a file: blocks of align bytes, n samples in all.
type packed struct {
	blocks   []byte
	align, n int
}

// packIMA takes the blocks of one channel that a file brings; samples is how many a fact chunk said there are, -1 where none did. It
// refuses blocks whose head no table has: whatever else they hold can be read.
func packIMA(b []byte, block, samples int) (packed, error) {
	n := imaSamples(len(b), block)
	for at := 0; at+4 < len(b); at += block {
		if index := int(b[at+2]); index >= len(imaStep) {
			return packed{}, badWAV("an ADPCM block begins at step %d", index)
		}
	}
	if samples >= 0 && samples < n {
		n = samples
		whole := 1 + 2*(block-4)
		b = b[:min(len(b), (n+whole-1)/whole*block)] // what lies behind is never heard
	}
	return packed{slices.Clone(b), block, n}, nil
}

// imaSamples is how many samples so many bytes of blocks hold: one in each block's head of four bytes, two in each byte after it. What of the
// last block is not there ends it.
func imaSamples(bytes, block int) int {
	n := bytes / block * (1 + 2*(block-4))
	if rest := bytes % block; rest > 4 {
		n += 1 + 2*(rest-4)
	}
	return n
}

// unpackIMA appends the samples of packed blocks to out.
func unpackIMA(out []int16, p packed) []int16 {
	end := len(out) + p.n
	out = slices.Grow(out, imaSamples(len(p.blocks), p.align)) // to the last block's end
	for b := p.blocks; len(b) > 4 && len(out) < end; {
		part := b[:min(p.align, len(b))]
		b = b[len(part):]
		a := ima{int(int16(binary.LittleEndian.Uint16(part))), int(part[2])}
		out = append(out, int16(a.value))
		for _, x := range part[4:] {
			out = append(out, a.next(x), a.next(x>>4))
		}
	}
	return out[:end]
}

// imaBegin gives the step with which samples are best begun.
func imaBegin(s []int16) int {
	best, least := 0, -1
	for index := range imaStep {
		if len(s) == 0 {
			break
		}
		a, off := ima{int(s[0]), index}, 0
		for _, v := range s[1:] {
			d := int(v) - int(a.next(a.code(v)))
			off += d * d
		}
		if least < 0 || off < least {
			best, least = index, off
		}
	}
	return best
}

// WriteADPCM writes p as a WAV file of IMA ADPCM.
func WriteADPCM(w io.Writer, p PCM) error {
	const per = (imaBlock-4)*2 + 1
	le := binary.LittleEndian
	var data []byte
	a := ima{index: imaBegin(p.Samples[:min(per, len(p.Samples))])}
	for s := p.Samples; len(s) > 0; {
		part := s[:min(per, len(s))]
		s = s[len(part):]
		// A block begins with a sample as it is; the step goes on from the one before.
		a.value = int(part[0])
		data = append(le.AppendUint16(data, uint16(part[0])), byte(a.index), 0)
		codes := make([]byte, imaBlock-4)
		for i := range per - 1 {
			v := part[len(part)-1] // the end is held, and cut off by the fact chunk
			if i+1 < len(part) {
				v = part[i+1]
			}
			c := a.code(v)
			a.next(c)
			codes[i/2] |= c << (4 * (i % 2))
		}
		data = append(data, codes...)
	}
	b := append([]byte("RIFF"), make([]byte, 56)...)
	le.PutUint32(b[4:], uint32(52+len(data)))
	copy(b[8:], "WAVEfmt ")
	le.PutUint32(b[16:], 20)
	le.PutUint16(b[20:], formatIMA)
	le.PutUint16(b[22:], 1)
	le.PutUint32(b[24:], uint32(p.Rate))
	le.PutUint32(b[28:], uint32(p.Rate*imaBlock/per))
	le.PutUint16(b[32:], imaBlock)
	le.PutUint16(b[34:], 4)
	le.PutUint16(b[36:], 2)
	le.PutUint16(b[38:], per)
	copy(b[40:], "fact")
	le.PutUint32(b[44:], 4)
	le.PutUint32(b[48:], uint32(len(p.Samples)))
	copy(b[52:], "data")
	le.PutUint32(b[56:], uint32(len(data)))
	if _, err := w.Write(append(b, data...)); err != nil {
		return fmt.Errorf("writing a WAV file: %w", err)
	}
	return nil
}
