package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Entry is one line.
type Entry struct {
	// N counts from 1.
	N int64 `json:"n"`
	// At is the wall clock, Trust how far it was trusted; Mono and Boot are the boot's own.
	At    time.Time     `json:"at"`
	Trust string        `json:"clock_trust"`
	Mono  time.Duration `json:"mono_ns"`
	Boot  string        `json:"boot"`
	// Op is the act, such as "POST /api/v1/users"; Status what it was answered with.
	Op     string `json:"op"`
	Status int    `json:"status"`
	Via    string `json:"via"`
	Addr   string `json:"addr"`
	// Account is who was signed in, Who the name of who acted.
	Account string `json:"account,omitempty"`
	Who     string `json:"who,omitempty"`
	Target  string `json:"target,omitempty"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
	// Times is how often the same was repeated after it was first written; Lost how many
	// acts before it could not be written.
	Times int64 `json:"times,omitempty"`
	Lost  int64 `json:"lost,omitempty"`
	// Prev is the digest of the line before, Hash of this one without Hash.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// digest is the entry's own, over its line without it.
func (e Entry) digest() string {
	e.Hash = ""
	b, err := json.Marshal(e)
	if err != nil {
		return "" // no field of it can fail
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// seal closes an entry behind the one before it.
func (e Entry) seal(n int64, prev string) Entry {
	e.N, e.Prev = n, prev
	e.Hash = e.digest()
	return e
}

const mostLine = 8 << 10

// A Broken chain says where.
type Broken struct {
	N   int64
	Why string
}

// Error gives the English text.
func (b *Broken) Error() string {
	return fmt.Sprintf("the chain is broken at entry %d: %s", b.N, b.Why)
}

// Chain proves entries that come one after the other.
type Chain struct {
	N    int64
	Hash string
	// Begun: the first entry was taken as it is, since what was before it is not here.
	Begun bool
}

// Next proves the next entry.
func (c *Chain) Next(e Entry) error {
	switch {
	case e.digest() != e.Hash:
		return &Broken{e.N, "it was changed"}
	case c.Begun && e.N != c.N+1:
		return &Broken{e.N, fmt.Sprintf("it comes after %d", c.N)}
	case c.Begun && e.Prev != c.Hash, !c.Begun && e.N == 1 && e.Prev != "":
		return &Broken{e.N, "it does not belong to the one before"}
	}
	c.N, c.Hash, c.Begun = e.N, e.Hash, true
	return nil
}

// parse reads one line; it must be written as it would be written anew.
func parse(line []byte) (Entry, error) {
	var e Entry
	if len(line) > mostLine {
		return e, errors.New("too long")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Entry{}, err
	}
	if b, err := json.Marshal(e); err != nil || !bytes.Equal(b, line) {
		return Entry{}, errors.New("written by another hand")
	}
	return e, nil
}

// Verify proves a file of lines and gives where the chain stands at its end. c is where it
// stood before, the zero Chain for the first.
func Verify(r io.Reader, c *Chain) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, mostLine), mostLine+1)
	for sc.Scan() {
		e, err := parse(sc.Bytes())
		if err != nil {
			return &Broken{c.N + 1, err.Error()}
		}
		if err := c.Next(e); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return &Broken{c.N + 1, err.Error()}
	}
	return nil
}
