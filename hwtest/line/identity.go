package line

// Identity is what a unit says of itself (Application Protocol V1.1b3, 6.13 and
// 6.21). What is empty is not known to it.
type Identity struct {
	// Server is the answer to function 17 after its byte count: the maker's id
	// and the run indicator, mostly.
	Server []byte
	// Objects are the strings of function 43/14 from object 0 on: vendor, product
	// code, revision, …
	Objects []string
	// Each is how many objects one answer gives; 0 is all.
	Each int
}

func (d *Identity) answer(pdu []byte) ([]byte, Exception) {
	switch {
	case d == nil:
		return nil, IllegalFunction
	case pdu[0] == 17 && len(d.Server) > 0:
		return append([]byte{17, byte(len(d.Server))}, d.Server...), 0
	case pdu[0] == 43 && len(d.Objects) > 0:
	default:
		return nil, IllegalFunction
	}
	if len(pdu) != 4 || pdu[1] != 14 {
		return nil, IllegalFunction
	}
	code, from := pdu[2], int(pdu[3])
	if code < 1 || code > 4 {
		return nil, IllegalValue
	}
	if from >= len(d.Objects) {
		from = 0 // the standard: an unknown object begins the stream anew
	}
	to := len(d.Objects)
	if d.Each > 0 {
		to = min(to, from+d.Each)
	}
	more, next := byte(0), byte(0)
	if to < len(d.Objects) {
		more, next = 0xFF, byte(to)
	}
	out := []byte{43, 14, code, 1, more, next, byte(to - from)}
	for i := from; i < to; i++ {
		out = append(append(out, byte(i), byte(len(d.Objects[i]))), d.Objects[i]...)
	}
	return out, 0
}
