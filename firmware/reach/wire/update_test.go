package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnUpdatesOutcomeFitsOneShortMessage(t *testing.T) {
	u := UpdateItem{Name: Name{7, 8}, At: 1_790_000_000, Outcome: UpdateBack, Number: 412, Version: "2026.11.3", Text: "新软件试运行期间没有恢复原有的功能：river.level、光纤"}
	for most := UpdateHead + len(u.Version); most < 100; most++ {
		b, err := u.Append(nil, most)
		if err != nil || len(b) > most {
			t.Fatalf("%d bytes of at most %d: %v", len(b), most, err)
		}
		got, err := ReadUpdate(b)
		if err != nil || !utf8.ValidString(got.Text) || !strings.HasPrefix(u.Text, got.Text) {
			t.Fatalf("%+v %v", got, err)
		}
		if got.Text = u.Text; got != u {
			t.Fatalf("%+v is read as %+v", u, got)
		}
	}
	for name, x := range map[string]UpdateItem{
		"no name":        {Outcome: UpdateBack},
		"no outcome":     {Name: Name{7, 8}},
		"no such one":    {Name: Name{7, 8}, Outcome: updateOutcomes},
		"a blank inside": {Name: Name{7, 8}, Outcome: UpdateBack, Version: "1 2"},
	} {
		if _, err := x.Append(nil, 100); err == nil {
			t.Error(name, "is written")
		}
	}
	long := u
	long.Version = strings.Repeat("1", 64)
	if b, err := long.Append(nil, 65); err != nil {
		t.Error(err)
	} else if got, err := ReadUpdate(b); err != nil || len(got.Version) != VersionMost {
		t.Error(got, err)
	}
	for o := UpdateStaged; o < updateOutcomes; o++ {
		if ParseOutcome(o.String()) != o {
			t.Error(o)
		}
	}
}

func FuzzReadUpdate(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := ParseOutcome(string(b)); o != UpdateNone && o.String() != string(b) {
			t.Fatalf("%q is read as %v", b, o)
		}
		u, err := ReadUpdate(b)
		if err != nil {
			return
		}
		if again, err := u.Append(nil, NarrowMost); err != nil || string(again) != string(b) {
			t.Fatalf("%x is read as %+v and written as %x (%v)", b, u, again, err)
		}
	})
}
