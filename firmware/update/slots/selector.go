package slots

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// Choice is what a selector keeps.
type Choice struct {
	// Good is the slot that starts, A or B; Next the one that is tried, "" for none, for
	// Left more starts.
	Good, Next string
	Left       int
	// Floor is the highest number of a release that was confirmed.
	Floor uint64
	// Within is how long a trial may stay unconfirmed after a start.
	Within time.Duration
	// Why is why the last trial ended; ByTries that the boot loader ended it.
	Why     phrase.Message
	ByTries bool
	// Bad is the number of the release that did not stay.
	Bad uint64
}

// Selector keeps the choice of what starts, outside every file system.
type Selector interface {
	Read() (Choice, error)
	// Write keeps it whole: after a cut there is the old or the new.
	Write(Choice) error
}

// Disk is a file or device that is read, written and flushed.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Environment is a selector in two copies of a U-Boot environment. The boot script takes
// the first that is whole, so the second is written first: a cut between them leaves the
// old choice, a cut within either leaves the other.
type Environment struct {
	Disk Disk
	// At are where the copies begin, in bytes.
	At [2]int64
}

// Standard is where the images have the copies: sectors 2048 and 6144, 2 MiB apart, since
// a card that loses its power in a write loses what it had together with it in one block.
var Standard = [2]int64{2048 * 512, 6144 * 512}

// EnvironmentSize is one copy, in bytes: a sector.
const EnvironmentSize = 512

// ErrNoEnvironment says that neither copy is whole.
var ErrNoEnvironment = errors.New("neither copy of the boot environment is whole")

// Read reads the first copy that is whole.
func (e Environment) Read() (Choice, error) {
	var copies [][]byte
	for _, at := range e.At {
		b := make([]byte, EnvironmentSize)
		if _, err := e.Disk.ReadAt(b, at); err == nil || err == io.EOF {
			copies = append(copies, b)
		}
	}
	return ParseEnvironment(copies...)
}

// ParseEnvironment reads the first copy that is whole.
func ParseEnvironment(copies ...[]byte) (Choice, error) {
	for _, b := range copies {
		if m, ok := parse(b); ok {
			return choice(m)
		}
	}
	return Choice{}, ErrNoEnvironment
}

// Write writes both copies, the second first.
func (e Environment) Write(c Choice) error {
	b, err := c.Environment()
	if err != nil {
		return err
	}
	for _, at := range []int64{e.At[1], e.At[0]} {
		if _, err := e.Disk.WriteAt(b, at); err != nil {
			return err
		}
		if err := e.Disk.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// parse reads a copy: CRC-32 (little endian) of what follows, then key=value, each with a
// zero byte behind it, and one more at the end.
func parse(b []byte) (map[string]string, bool) {
	if len(b) < 8 || crc32.ChecksumIEEE(b[4:]) != binary.LittleEndian.Uint32(b) {
		return nil, false
	}
	m := map[string]string{}
	for kv := range bytes.SplitSeq(b[4:], []byte{0}) {
		if len(kv) == 0 {
			break
		}
		if k, v, ok := strings.Cut(string(kv), "="); ok {
			m[k] = v
		}
	}
	return m, true
}

func choice(m map[string]string) (c Choice, err error) {
	if m["good"] != "A" && m["good"] != "B" {
		return c, fmt.Errorf("the boot environment says good=%q", clean(m["good"]))
	}
	c.Good = m["good"]
	if n := m["next"]; n == "A" || n == "B" {
		c.Next = n
	}
	number := func(key string, base int) uint64 {
		n, _ := strconv.ParseUint(m[key], base, 63) // what is no number is none: Good starts all the same
		return n
	}
	c.Left = int(min(number("left", 16), 9)) // U-Boot's setexpr writes hexadecimal
	c.Floor, c.Bad = number("floor", 10), number("bad", 10)
	c.Within = time.Duration(min(number("within", 10), 24*3600)) * time.Second
	switch why := m["why"]; {
	case why == "tries":
		c.ByTries = true
	case why != "":
		if json.Unmarshal([]byte(why), &c.Why) != nil {
			c.Why = phrase.M("update.why_lost")
		}
	}
	return c, nil
}

// Environment writes a choice as the boot loader reads it, EnvironmentSize bytes.
func (c Choice) Environment() ([]byte, error) {
	if c.Good != "A" && c.Good != "B" || c.Next != "" && c.Next != "A" && c.Next != "B" || c.Left < 0 || c.Left > 9 {
		return nil, fmt.Errorf("good=%q next=%q left=%d is no choice", c.Good, c.Next, c.Left)
	}
	why := ""
	if c.ByTries {
		why = "tries"
	} else if !c.Why.IsZero() {
		j, err := json.Marshal(c.Why)
		if err != nil {
			return nil, err
		}
		why = string(j)
	}
	write := func(why string) []byte {
		var w bytes.Buffer
		for _, kv := range [][2]string{{"good", c.Good}, {"next", c.Next}, {"left", strconv.FormatInt(int64(c.Left), 16)}, {"floor", strconv.FormatUint(c.Floor, 10)},
			{"bad", strconv.FormatUint(c.Bad, 10)}, {"within", strconv.Itoa(int(c.Within / time.Second))}, {"why", why}} {
			if kv[1] != "" {
				w.WriteString(kv[0] + "=" + kv[1] + "\x00")
			}
		}
		return w.Bytes()
	}
	body := write(why)
	if len(body) > EnvironmentSize-5 || strings.ContainsRune(why, 0) {
		// A reason that does not fit is told without its particulars.
		j, err := json.Marshal(phrase.Message{Code: "update.why_long"})
		if err != nil {
			return nil, err
		}
		body = write(string(j))
	}
	b := make([]byte, EnvironmentSize)
	copy(b[4:], body)
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b, nil
}

func clean(s string) string {
	if len(s) > 16 {
		s = s[:16]
	}
	return strconv.QuoteToASCII(s)
}
