package blackbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// Kind is what a record tells.
type Kind byte

// The kinds.
const (
	Head   Kind = 'H' // of a file
	Boot   Kind = 'B' // a run of the program begins
	Log    Kind = 'L'
	Values Kind = 'V' // points that changed: id=value, or id=!quality
	Frame  Kind = 'F' // line, kind, unit, bytes as on the wire
	Event  Kind = 'E' // why all was written at once
	Lost   Kind = 'X' // how much found no room
	Kept   Kind = 'K' // what the board kept over a reset: the last of the boot before
	Crash  Kind = 'C' // what the runtime said when the program died
)

var kinds = map[Kind]string{Head: "head", Boot: "boot", Log: "log", Values: "values", Frame: "frame", Event: "event", Lost: "lost", Kept: "kept", Crash: "crash"}

// String names the kind.
func (k Kind) String() string {
	if s, ok := kinds[k]; ok {
		return s
	}
	return fmt.Sprintf("kind %#02x", byte(k))
}

// Record is one thing that was kept.
type Record struct {
	Kind Kind
	// Wall is the civil time as far as it was known then, Mono the time since the boot.
	Wall time.Time
	Mono time.Duration
	Text string
}

// String is one line for people.
func (r Record) String() string {
	return fmt.Sprintf("%s %12.3f %-6s %s", r.Wall.UTC().Format("2006-01-02T15:04:05.000Z"), r.Mono.Seconds(), r.Kind, strings.ReplaceAll(r.Text, "\n", "\n\t"))
}

// MostText is where a record's text is cut.
const MostText = 4096

const (
	markA, markB = 0xB0, 0x5B
	before       = 2 + 1 + 2 + 8 + 8
	around       = before + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// size is what a record takes of a file.
func (r Record) size() int { return around + len(r.Text) }

func cut(s string) string {
	if len(s) > MostText {
		s = s[:MostText-len("…")] + "…"
	}
	return strings.ToValidUTF8(s, "?") // never longer
}

// Append writes a record.
func (r Record) Append(b []byte) []byte {
	from := len(b) + 2
	b = append(b, markA, markB, byte(r.Kind))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Text)))
	b = binary.BigEndian.AppendUint64(b, uint64(nanos(r.Wall)))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Mono))
	b = append(b, r.Text...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Decode reads what a file holds: whole records in their order, how many bytes were none,
// and where the last record ends.
func Decode(b []byte) (rs []Record, damaged, end int) {
	for at := 0; at < len(b); {
		if r, n, ok := first(b[at:]); ok {
			rs, at = append(rs, r), at+n
			end = at
			continue
		}
		next := bytes.Index(b[at+1:], []byte{markA, markB})
		if next < 0 {
			damaged += len(b) - at
			break
		}
		damaged, at = damaged+next+1, at+1+next
	}
	return rs, damaged, end
}

func first(b []byte) (r Record, n int, ok bool) {
	if len(b) < around || b[0] != markA || b[1] != markB {
		return r, 0, false
	}
	text := int(binary.BigEndian.Uint16(b[3:]))
	if n = around + text; text > MostText || len(b) < n || crc32.Checksum(b[2:n-4], castagnoli) != binary.BigEndian.Uint32(b[n-4:]) {
		return r, 0, false
	}
	r = Record{Kind: Kind(b[2]), Mono: time.Duration(binary.BigEndian.Uint64(b[13:])), Text: string(b[before : before+text])}
	if w := int64(binary.BigEndian.Uint64(b[5:])); w != 0 {
		r.Wall = time.Unix(0, w).UTC()
	}
	return r, n, true
}
