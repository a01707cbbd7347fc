package config

import "testing"

func TestSizesAreReadWithTheirUnit(t *testing.T) {
	for in, want := range map[string]int64{"512 MiB": 512 << 20, "2GiB": 2 << 30, "1.5 KiB": 1536, "0 MiB": 0} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%q is %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "512", "512 MB", "MiB", "-1 MiB", "NaN GiB", "1e300 GiB", "1 MiB x"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("%q is taken as %d", in, got)
		}
	}
}

func TestHistoryIsReadFromTheSiteFile(t *testing.T) {
	d, ps := Parse("s.yaml", []byte("version: 1\nhistory: {keep: 30d, rollups: 730d, most: 64 MiB, every: 20s, off: true}\n"))
	if ps != nil {
		t.Fatal(ps)
	}
	h := d.Site.History
	if h.Keep.Duration().Hours() != 720 || h.Rollups.Duration().Hours() != 17520 || h.Most.Bytes() != 64<<20 || h.Every.Duration().Seconds() != 20 || !h.Off {
		t.Errorf("%+v", h)
	}
	if _, ps := Parse("s.yaml", []byte("version: 1\nhistory: {most: 64 MB}\n")); len(ps) != 1 || ps[0].Line != 2 || ps[0].Col != 17 {
		t.Errorf("%v", ps)
	}
}
