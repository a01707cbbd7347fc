package rtmp

import (
	"encoding/binary"
	"errors"
	"math"
)

// The markers of AMF 0, section 2.1.
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfReference   = 0x07
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0a
	amfDate        = 0x0b
	amfLongString  = 0x0c
	amfUnsupported = 0x0d
	amfXML         = 0x0f
	amfTyped       = 0x10
)

// What a message may hold: deeper or more is not a command of any encoder.
const (
	amfDepth  = 8
	amfValues = 1024
)

var (
	errAMFShort  = errors.New("AMF value is cut off")
	errAMFMarker = errors.New("AMF value of unknown type")
	errAMFMuch   = errors.New("AMF values nested too deep or too many")
	errAMFEnd    = errors.New("AMF object without an end")
)

// A field is one of an object's; their order is kept.
type field struct {
	name  string
	value any
}

// object is an AMF object or ECMA array.
type object []field

// text gives a field that is a string, or "".
func (o object) text(name string) string {
	for _, f := range o {
		if s, ok := f.value.(string); ok && f.name == name {
			return s
		}
	}
	return ""
}

// value gives a field, nil where it has none.
func (o object) value(name string) any {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// decodeAMF reads all values of a message: float64, bool, string, object, []any or nil
// (null, undefined and what has no meaning here). What came before a fault is given with it.
func decodeAMF(b []byte) ([]any, error) {
	d := amfReader{b: b}
	var all []any
	for len(d.b) > 0 {
		v, err := d.value(0)
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

type amfReader struct {
	b []byte
	n int
}

func (d *amfReader) take(n int) ([]byte, error) {
	if n > len(d.b) {
		return nil, errAMFShort
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b, nil
}

func (d *amfReader) short() (string, error) {
	b, err := d.take(2)
	if err != nil {
		return "", err
	}
	b, err = d.take(int(binary.BigEndian.Uint16(b)))
	return string(b), err
}

func (d *amfReader) long() (string, error) {
	b, err := d.take(4)
	if err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(d.b)) {
		return "", errAMFShort
	}
	b, err = d.take(int(n))
	return string(b), err
}

func (d *amfReader) value(depth int) (any, error) {
	d.n++
	if depth > amfDepth || d.n > amfValues {
		return nil, errAMFMuch
	}
	m, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch m[0] {
	case amfNumber:
		b, err := d.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case amfBoolean:
		b, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return b[0] != 0, nil
	case amfString:
		return d.short()
	case amfLongString, amfXML:
		return d.long()
	case amfNull, amfUndefined, amfUnsupported:
		return nil, nil
	case amfReference:
		_, err := d.take(2)
		return nil, err
	case amfDate:
		_, err := d.take(10)
		return nil, err
	case amfTyped:
		if _, err := d.short(); err != nil {
			return nil, err
		}
		return d.fields(depth)
	case amfECMAArray:
		// The count is a hint only (section 2.10).
		if _, err := d.take(4); err != nil {
			return nil, err
		}
		return d.fields(depth)
	case amfObject:
		return d.fields(depth)
	case amfStrictArray:
		b, err := d.take(4)
		if err != nil {
			return nil, err
		}
		n := binary.BigEndian.Uint32(b)
		if n > amfValues {
			return nil, errAMFMuch
		}
		all := []any{}
		for range n {
			v, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
	return nil, errAMFMarker
}

func (d *amfReader) fields(depth int) (object, error) {
	o := object{}
	for {
		name, err := d.short()
		if err != nil {
			return nil, err
		}
		if name == "" {
			end, err := d.take(1)
			if err != nil {
				return nil, err
			}
			if end[0] != amfObjectEnd {
				return nil, errAMFEnd
			}
			return o, nil
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, field{name, v})
	}
}

// appendAMF writes values of the kinds that decodeAMF gives, and int as a number.
func appendAMF(b []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case int:
			b = appendAMF(b, float64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, amfNumber), math.Float64bits(v))
		case bool:
			b = append(b, amfBoolean, 0)
			if v {
				b[len(b)-1] = 1
			}
		case string:
			if len(v) > math.MaxUint16 {
				b = binary.BigEndian.AppendUint32(append(b, amfLongString), uint32(len(v)))
				b = append(b, v...)
				continue
			}
			b = appendShort(append(b, amfString), v)
		case object:
			b = append(b, amfObject)
			for _, f := range v {
				b = appendAMF(appendShort(b, f.name), f.value)
			}
			b = append(b, 0, 0, amfObjectEnd)
		case []any:
			b = binary.BigEndian.AppendUint32(append(b, amfStrictArray), uint32(len(v)))
			b = appendAMF(b, v...)
		default:
			b = append(b, amfNull)
		}
	}
	return b
}

func appendShort(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
