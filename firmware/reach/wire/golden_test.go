package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/hwtest/days"
)

var update = flag.Bool("update", false, "write testdata/vectors.txt and the seeds of the fuzz targets anew")

// vector is one line of testdata/vectors.txt, and which fuzz target it seeds.
type vector struct {
	name, fuzz string
	bytes      []byte
}

// vectors makes every form from fixed things: root 00 01 … 1f, station 441881102, card 4207733, epoch 1.
func vectors(t *testing.T) (all []vector) {
	root := make([]byte, RootSize)
	for i := range root {
		root[i] = byte(i)
	}
	k, err := NewKeys(root, "441881102", 1)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name, fuzz string, b []byte, err error) {
		if err != nil {
			t.Fatal(name, err)
		}
		all = append(all, vector{name, fuzz, b})
	}
	for d, name := range []string{"up", "down", "aside"} {
		add("key mac "+name, "", k.ways[d].mac, nil)
		add("key hide "+name, "", k.ways[d].hide, nil)
		add("key whole "+name, "", k.ways[d].whole, nil)
		add("key data "+name, "", k.ways[d].data, nil)
	}
	up := &Sender{Keys: k, Direction: Up, Counter: NewCounter(70_000, kept), Hidden: HideCommands}
	down := &Sender{Keys: k, Direction: Down, Counter: NewCounter(0, kept), Hidden: HideCommands}
	for _, c := range []struct {
		name string
		s    *Sender
		m    Message
	}{
		{"narrow up, alarm, counter 70001, items: text \"104.2 m\"", up, Message{Class: Alarm, Content: AppendItem(nil, Item{ItemText, []byte("104.2 m")}, true)}},
		{"narrow up, receipt, ack-only, counter 70002: 100 to 132", up, Message{Class: Receipt, Kind: AckOnly, Content: Ack{100, 1<<32 - 1}.Append(nil)}},
		{"narrow down, command (hidden), counter 1, item: command \"stop\"", down, Message{Class: Command, Content: AppendItem(nil, Item{ItemCommand, []byte("stop")}, true)}},
	} {
		b, err := c.s.Seal(c.m, "4207733")
		add(c.name, "FuzzReceiverOpen", b, err)
	}
	add("items: ack of 5, 7; text \"hi\" to the end", "FuzzItems", AppendItem(AppendItem(nil, Item{ItemAck, Acks([]uint64{5, 7})[0].Append(nil)}, false), Item{ItemText, []byte("hi")}, true), nil)
	add("ack of 5, 7, 37", "FuzzReadAcks", Acks([]uint64{5, 7, 37})[0].Append(nil), nil)
	about := AboutCompact(0, 7, 20663, 123)
	b, err := AppendReceipts(nil, about, []ReceiptOf{{1, Progress{Heard, WhyNone}}, {513, Progress{Verified, WhyOutputs}}})
	add("receipts about an alert of issuer 7, day 20663, number 123: station 1 heard, 513 verified but its outputs failed", "FuzzReadReceipts", b, err)
	b, err = AppendReceipts(nil, AboutAlert("county@example.cn,440118_1,2026-07-29T14:00:00Z"), []ReceiptOf{{65535, Progress{Confirmed, WhyNone}}})
	add("receipts about county@example.cn,440118_1,2026-07-29T14:00:00Z: station 65535 confirmed", "FuzzReadReceipts", b, err)
	add("more: 3 of class 0, group 9", "FuzzReadMore", MoreRequest{Warning, 9, 3}.Bytes(), nil)
	add("clock: 1790000000123 within 2^10 ms", "FuzzReadClock", Clock{1_790_000_000_123, 10}.Bytes(), nil)
	s, err := NewSplit([]byte("Move to the school on the hill. Take your papers and your medicine."), 9, 32)
	for i := range s.Data + 2 {
		add(fmt.Sprintf("fragment %d of %d, group 9: \"Move to the school on the hill. Take your papers and your medicine.\"", i, s.Data), "FuzzAssembler", s.Fragment(i), err)
	}
	e := Envelope{ID: ID{"441881102", 0x0123456789ABCDEF, 42}, Class: Telemetry, Slot: "summary", Created: 1_790_000_000_123, Trust: 2, Deadline: 3600, Type: 1, Content: []byte{1, 2, 3},
		Extensions: []Extension{{Type: 5, Bytes: []byte("x")}}}
	b, err = e.Append(nil, nil, Up)
	add("envelope, plain", "FuzzOpenEnvelope", b, err)
	b, err = e.Append(nil, k, Up)
	add("envelope, sealed", "FuzzOpenEnvelope", b, err)
	b, err = SealDatagram([]byte("hello"), 77, k, Up, NewCounter(0, kept))
	add("datagram up, index 77, counter 1: \"hello\"", "FuzzOpenDatagram", b, err)

	d := Dictionary{ID: 1, Channels: days.Sensors}
	storm := dayOf(t, days.Storm)
	enc, err := NewEncoder(d, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for i := range 3 {
		blk, err := enc.Encode(Series{Minute: storm.Minute + int64(at*5), Step: 5, Rows: storm.Rows[at:]}, 66)
		add(fmt.Sprintf("block %d: rows %d to %d of the storm, from minute 29900000", i, at, at+blk.Rows-1), "FuzzDecode", blk.Bytes, err)
		enc.Acked(blk.Number)
		at += blk.Rows
	}
	gap := Series{Minute: storm.Minute + 3000, Step: 5, Rows: [][]Value{slicesClone(storm.Rows[100]), slicesClone(storm.Rows[101]), slicesClone(storm.Rows[102])}}
	gap.Rows[1][3] = Value{}
	blk, err := enc.Encode(gap, 100)
	add("block 3: rows 100 to 102 at minute 29903000, velocity missing in the second", "FuzzDecode", blk.Bytes, err)
	blk, err = enc.EncodeAll(Series{Minute: storm.Minute + 4000, Step: 5, Rows: storm.Rows[150:174]}, 66)
	add("block 4: rows 150 to 173 at minute 29904000, thinned to 66 bytes", "FuzzDecode", blk.Bytes, err)

	// Added later: what is above keeps its place.
	n := Name{0xA1B2C3, 17}
	add("name a1b2c3-17 in an item", "", n.Bytes(), nil)
	b, err = AlarmItem{Name: n, At: 1_790_000_000, Event: AlarmEscalated, Rank: 4, Cause: 0xBEEF, Hazard: "flash-flood", Text: "河道水位 103.2 m，超过立即转移线 103.0 m"}.Append(nil, 66)
	add("alarm a1b2c3-17 at 1790000000: escalated to rank 4, cause beef, flash-flood, \"河道水位 103.2 m，超过立即转移线 103.0 m\" cut to 66 bytes", "FuzzReadAlarm", b, err)
	return all
}

func slicesClone(v []Value) []Value { return append([]Value{}, v...) }

func TestVectorsAreThoseThatOthersWereGiven(t *testing.T) {
	all := vectors(t)
	var text strings.Builder
	text.WriteString("# Vectors of the formats in doc.go. Root 00 01 … 1f, station 441881102, card 4207733, epoch 1.\n")
	for _, v := range all {
		fmt.Fprintf(&text, "%s\n\t%x\n", v.name, v.bytes)
	}
	const name = "testdata/vectors.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		for i, v := range all {
			if v.fuzz == "" {
				continue
			}
			dir := filepath.Join("testdata", "fuzz", v.fuzz)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("vector-%02d", i)), fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", v.bytes), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(text.String())) {
		t.Error("the bytes have changed: a new version of the format is needed, or -update before the first release")
	}
}

// TestVectorsAreReadFromTheFile reads what the file says, not what was just made.
func TestVectorsAreReadFromTheFile(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	d, err := NewDecoder(Dictionary{ID: 1, Channels: days.Sensors})
	if err != nil {
		t.Fatal(err)
	}
	storm := dayOf(t, days.Storm)
	blocks := 0
	for i, l := range lines {
		if !strings.HasPrefix(l, "block ") {
			continue
		}
		raw, err := hex.DecodeString(strings.TrimSpace(lines[i+1]))
		if err != nil {
			t.Fatal(err)
		}
		_, s, err := d.Decode(raw, storm.Minute)
		if err != nil {
			t.Fatal(l, err)
		}
		if s.Minute < storm.Minute+3000 && !same(s.Rows, storm.Rows[(s.Minute-storm.Minute)/5:][:len(s.Rows)]) {
			t.Error(l, "reads otherwise")
		}
		blocks++
	}
	if blocks != 5 {
		t.Errorf("%d blocks", blocks)
	}
}
