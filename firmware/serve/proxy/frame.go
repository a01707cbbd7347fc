package proxy

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	mbap    = 7
	maxPDU  = 253
	protoOf = 0 // Modbus
)

// The exceptions that are answered (Application Protocol V1.1b3, section 7).
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
	busy            = 6
	noPath          = 0x0A
	noAnswer        = 0x0B
)

// request is one request of a client.
type request struct {
	transaction uint16
	unit        uint8
	pdu         []byte
}

// readRequest reads a frame. What is no Modbus ends the connection, since nobody
// knows where the next frame begins.
func readRequest(r io.Reader) (request, error) {
	var h [mbap]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return request{}, err
	}
	n := int(binary.BigEndian.Uint16(h[4:]))
	if p := binary.BigEndian.Uint16(h[2:]); p != protoOf || n < 2 || n > 1+maxPDU {
		return request{}, fmt.Errorf("no Modbus TCP frame: % x", h)
	}
	q := request{transaction: binary.BigEndian.Uint16(h[:]), unit: h[6], pdu: make([]byte, n-1)}
	_, err := io.ReadFull(r, q.pdu)
	return q, err
}

// reply frames an answer to the request.
func (q request) reply(pdu []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, q.transaction)
	b = binary.BigEndian.AppendUint16(b, protoOf)
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(pdu)))
	return append(append(b, q.unit), pdu...)
}

func exception(fn byte, code byte) []byte { return []byte{fn | 0x80, code} }
