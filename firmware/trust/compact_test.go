package trust

import "testing"

func TestAnIssuersPartInCompactWarningsIsProved(t *testing.T) {
	ed, sm := newKey(t, Ed25519), newKey(t, SM2)
	for _, c := range []struct {
		name    string
		change  func(*IssuerDocument)
		want    string
		working bool
	}{
		{"as it should be", func(d *IssuerDocument) {}, "", true},
		{"number 0", func(d *IssuerDocument) { d.Compact.Number = 0 }, "trust.compact_number", false},
		{"number 256", func(d *IssuerDocument) { d.Compact.Number = 256 }, "trust.compact_number", false},
		{"somebody else's", func(d *IssuerDocument) { d.Compact.Number = 9 }, "trust.compact_twice", false},
		{"a village as region", func(d *IssuerDocument) { d.Compact.Region = "441882103" }, "trust.compact_region", false},
		{"a pattern as sender", func(d *IssuerDocument) { d.Senders = []string{"*@example.cn"} }, "trust.compact_sender", false},
		{"a pattern, and the sender said", func(d *IssuerDocument) { d.Senders, d.Compact.Sender = []string{"*@example.cn"}, "warn@example.cn" }, "", true},
		{"a sender that is not its own", func(d *IssuerDocument) { d.Compact.Sender = "weather@example.cn" }, "trust.compact_sender", false},
		{"no Ed25519 key", func(d *IssuerDocument) { d.Keys = []PEMDocument{pemKey(t, sm)} }, "trust.compact_key", false},
	} {
		i := IssuerDocument{Senders: []string{"county@example.cn"}, Keys: []PEMDocument{pemKey(t, ed)}, Compact: &CompactDocument{Number: 7, Region: "441882"}}
		c.change(&i)
		s, faults := New(Document{Issuers: map[string]IssuerDocument{
			"a-weather": {Senders: []string{"w"}, Keys: []PEMDocument{pemKey(t, newKey(t, Ed25519))}, Compact: &CompactDocument{Number: 9, Region: "4418"}},
			"county":    i,
		}}, nil)
		got := ""
		for _, f := range faults {
			if !f.Warning {
				got = f.Message.Code
			}
		}
		found, ok := s.ByCompact(7)
		if got != c.want || ok != c.working || ok && (found.ID != "county" || found.Compact.Region != "441882" || !found.SpeaksAs(found.Compact.Sender)) {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
		if w, ok := s.ByCompact(9); !ok || w.ID != "a-weather" {
			t.Errorf("%s: the other issuer lost its number", c.name)
		}
	}
}
