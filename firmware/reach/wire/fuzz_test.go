package wire

import (
	"bytes"
	"testing"
	"time"

	"tocsin/hwtest/days"
)

func FuzzReceiverOpen(f *testing.F) {
	root := make([]byte, RootSize)
	for i := range root {
		root[i] = byte(i)
	}
	k, err := NewKeys(root, "441881102", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for d := range directions {
			r := &Receiver{Keys: []*Keys{k}, Direction: d, Window: &Window{}, Hidden: HideCommands}
			m, err := r.Open(b, "4207733")
			if err != nil {
				continue
			}
			if len(m.Content)+Overhead != len(b) {
				t.Fatal("a part of the message is not accounted for")
			}
			if m.Kind == Whole {
				Items(m.Content)
			}
			if _, err := r.Open(b, "4207733"); !Replayed(err) {
				t.Fatal("it opens twice")
			}
		}
	})
}

func FuzzItems(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Items(b)
		if err != nil {
			return
		}
		n := 0
		for _, i := range all {
			n += 1 + len(i.Bytes)
		}
		if len(all) > ItemsMost || n > len(b) {
			t.Fatal("items beyond the message")
		}
	})
}

func FuzzReadAcks(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ReadAcks(b)
		if err != nil {
			return
		}
		var again []byte
		for _, a := range all {
			if !a.Covers(a.Base) {
				t.Fatal("an ack without its base")
			}
			again = a.Append(again)
		}
		if !bytes.Equal(again, b) {
			t.Fatal("it is written otherwise")
		}
	})
}

func FuzzReadReceipts(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		about, all, err := ReadReceipts(b)
		if err != nil {
			return
		}
		if again, err := AppendReceipts(nil, about, all); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}

func FuzzReadMore(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ReadMore(b); err == nil && !bytes.Equal(m.Bytes(), b) {
			t.Fatal("it is written otherwise")
		}
	})
}

func FuzzReadClock(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ReadClock(b); err == nil && !bytes.Equal(c.Bytes(), b) {
			t.Fatal("it is written otherwise")
		}
	})
}

func FuzzReadAlarm(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadAlarm(b)
		if err != nil {
			return
		}
		if again, err := a.Append(nil, len(b)); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}

// FuzzAssembler gives the fragment, and pieces of it as further ones.
func FuzzAssembler(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Assembler
		for i := 0; i < 40 && len(b) > i; i++ {
			w, err := a.Add(Bulk, b[i:], time.Duration(i))
			if len(b[i:]) >= FragmentHead && i%7 == 6 {
				a.Drop(Bulk, GroupOf(b[i:]))
			}
			if err == nil && len(w) > ShardsMost*NarrowMost {
				t.Fatal("a content larger than its shards")
			}
		}
		if len(a.open) > groupsKept {
			t.Fatal("too many are held")
		}
	})
}

func FuzzOpenEnvelope(f *testing.F) {
	root := make([]byte, RootSize)
	for i := range root {
		root[i] = byte(i)
	}
	k, err := NewKeys(root, "441881102", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := OpenEnvelope(b, 4096, []*Keys{k}, Up)
		if err != nil {
			return
		}
		keys := k
		if !o.Sealed {
			keys = nil
		}
		if again, err := o.Envelope.Append(nil, keys, Up); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}

func FuzzOpenDatagram(f *testing.F) {
	root := make([]byte, RootSize)
	for i := range root {
		root[i] = byte(i)
	}
	k, err := NewKeys(root, "441881102", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &Window{}
		if c, n, err := OpenDatagram(b, []*Keys{k}, Up, w); err == nil && (len(c)+DatagramOverhead != len(b) || !w.Has(n)) {
			t.Fatal("opened, and its counter was not taken")
		}
	})
}

// FuzzDecode reads a block after one of the storm, so that both key frames and chained ones are met.
func FuzzDecode(f *testing.F) {
	d := Dictionary{ID: 1, Channels: days.Sensors}
	storm := dayOf(f, days.Storm)
	e, err := NewEncoder(d, 0)
	if err != nil {
		f.Fatal(err)
	}
	first, err := e.Encode(storm, 66)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _ := NewDecoder(d)
		if _, _, err := r.Decode(first.Bytes, storm.Minute); err != nil {
			t.Fatal(err)
		}
		_, s, err := r.Decode(b, storm.Minute)
		if err != nil {
			return
		}
		if len(s.Rows) == 0 || len(s.Rows) > StepsMost || s.Step < 1 || s.Step > 256 || len(s.Rows[0]) != d.Channels {
			t.Fatalf("%d rows at %d minutes", len(s.Rows), s.Step)
		}
	})
}
