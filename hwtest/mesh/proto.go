package mesh

import (
	"encoding/binary"
	"errors"
	"math"
)

// field is one field of a protobuf message: a number, or bytes.
type field struct {
	n    int
	kind int // 0 varint, 2 bytes, 5 fixed32
	v    uint64
	b    []byte
}

var errProto = errors.New("no protobuf")

func parse(b []byte) (out []field, err error) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return nil, errProto
		}
		b = b[n:]
		f := field{n: int(tag >> 3), kind: int(tag & 7)}
		switch f.kind {
		case 0:
			if f.v, n = binary.Uvarint(b); n <= 0 {
				return nil, errProto
			}
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return nil, errProto
			}
			f.b, n = b[m:m+int(size)], m+int(size)
		case 5:
			if len(b) < 4 {
				return nil, errProto
			}
			f.v, n = uint64(binary.LittleEndian.Uint32(b)), 4
		default:
			return nil, errProto
		}
		b, out = b[n:], append(out, f)
	}
	return out, nil
}

func find(fs []field, n int) *field {
	for i := range fs {
		if fs[i].n == n {
			return &fs[i]
		}
	}
	return &field{}
}

func varint(n int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3), v)
}

func fixed(n int, v uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, uint64(n)<<3|5), v)
}

func float(n int, v float32) []byte { return fixed(n, math.Float32bits(v)) }

func sub(n int, parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(n)<<3|2), uint64(len(b))), b...)
}
