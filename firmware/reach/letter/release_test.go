package letter

import (
	"strings"
	"testing"
)

func TestQuestionsForSoftwareAreTheStationsOwn(t *testing.T) {
	s := Station("330483105203")
	for subject, want := range map[string]string{s.ReleaseAsk(): "ask", s.ReleasePart(): "part", "rel.33.330483.330483105203.x": "", "rel.33.330484.330483105203.ask": "", "rel.33.330483.x.ask": "", "see.33.330483.330483105203.ask": ""} {
		got, part, ok := ParseReleaseSubject(subject)
		if ok != (want != "") || ok && (got != s || part != (want == "part")) {
			t.Errorf("%s: %s %v %v", subject, got, part, ok)
		}
	}
}

func TestWhatIsSaidOfReleasesIsBounded(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	a, err := ParseReleaseAsk(ReleaseAsk{Hardware: "rpi4", Running: "1.2", Number: 12, Base: sum}.Bytes())
	if err != nil || a.Base != sum || a.Number != 12 {
		t.Fatal(a, err)
	}
	o, err := ParseReleaseOffer(ReleaseOffer{Name: sum, Release: "1.3", Number: 13, Size: 4096, Delta: true}.Bytes())
	if err != nil || o.Name != sum || !o.Delta {
		t.Fatal(o, err)
	}
	for name, p := range map[string]ReleasePart{"no name": {At: 0, Long: 1}, "a path": {Name: "../../etc/passwd", Long: 1}, "too much": {Name: sum, Long: PartMost + 1}, "before": {Name: sum, At: -1, Long: 1}, "nothing": {Name: sum}} {
		if _, err := ParseReleasePart(p.Bytes()); err == nil {
			t.Error(name, "is read")
		}
	}
}

func FuzzReleases(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ParseReleaseAsk(b); err == nil && (len(a.Hardware) > 64 || a.Base != "" && len(a.Base) != 64) {
			t.Fatalf("%+v", a)
		}
		if o, err := ParseReleaseOffer(b); err == nil && o.Name != "" && (len(o.Name) != 64 || o.Size <= 0) {
			t.Fatalf("%+v", o)
		}
		if p, err := ParseReleasePart(b); err == nil && (p.Long > PartMost || p.At < 0) {
			t.Fatalf("%+v", p)
		}
		if s, _, ok := ParseReleaseSubject(string(b)); ok && !s.Valid() {
			t.Fatal(s)
		}
	})
}
