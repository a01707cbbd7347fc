package wire

import "testing"

func TestANameIsReadOnlyAsItIsWritten(t *testing.T) {
	n := Name{0xa1b2c3, 17}
	if n.String() != "a1b2c3-17" {
		t.Errorf("%v", n)
	}
	if m, ok := ParseName(n.String()); !ok || m != n {
		t.Errorf("%v %v", m, ok)
	}
	if m, ok := ReadName(n.Bytes()); !ok || m != n {
		t.Errorf("%v %v", m, ok)
	}
	for _, s := range []string{"", "a1b2c3", "a1b2c3-", "a1b2c3-0", "A1B2C3-17", "a1b2c3-017", "a1b2c3-+7", "1b2c3-17", "a1b2c3-16777216", "a1b2c3-17s", "-a1b2c-1"} {
		if m, ok := ParseName(s); ok {
			t.Errorf("%q is read as %v", s, m)
		}
	}
	if _, ok := ReadName([]byte{1, 2, 3, 0, 0, 0}); ok {
		t.Error("a message before the first")
	}
}

func FuzzName(f *testing.F) {
	f.Add("a1b2c3-17")
	f.Add("000000-16777215")
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ParseName(s)
		if !ok {
			return
		}
		if n.String() != s {
			t.Fatalf("%q is %q", s, n)
		}
		if m, ok := ReadName(n.Bytes()); !ok || m != n {
			t.Fatalf("%q: %v", s, m)
		}
	})
}
