package main

import (
	"bytes"
	"encoding/csv"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

func historyOf(t *testing.T, c HistoryCmd, lang string) string {
	t.Helper()
	path, _ := startBox(t, apitest.New(apitest.Calm))
	var out bytes.Buffer
	c.Point, c.From = "river.level", "24h"
	if err := c.Run(&Globals{Socket: path, Lang: lang, Out: &out, Ctx: t.Context()}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestHistoryIsExportedWithItsGaps(t *testing.T) {
	out := historyOf(t, HistoryCmd{CSV: true, BOM: true}, "zh")
	if !strings.HasPrefix(out, "\ufeff起,止,测值,单位,质量,") {
		t.Fatalf("%.80q", out)
	}
	all, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out, "\ufeff"))).ReadAll()
	if err != nil || len(all) != 52 {
		t.Fatalf("%d lines, %v", len(all), err)
	}
	first, gap := all[1], all[21]
	at, err := time.Parse(iso, first[0])
	if err != nil || !at.Equal(apitest.At.Add(-time.Hour)) || first[2] != "98" || first[3] != "m" || first[4] != "正常" {
		t.Errorf("%q %v", first, err)
	}
	if gap[2] != "" || gap[4] != "通信故障" || !strings.Contains(gap[6], "没有应答") {
		t.Errorf("%q", gap)
	}
	if out := historyOf(t, HistoryCmd{CSV: true, Most: 100}, "en"); !strings.HasPrefix(out, "from,until,mean,min,max,unit,quality,") {
		t.Errorf("%.80q", out)
	}
	if out := historyOf(t, HistoryCmd{}, "zh"); !strings.Contains(out, "98.59") || !strings.Contains(out, "没有应答") {
		t.Error(out)
	}
	if out := historyOf(t, HistoryCmd{JSON: true}, "zh"); strings.Count(out, "\n") != 51 || !strings.Contains(out, `"unit":"m"`) {
		t.Error(out)
	}
}

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	zone := time.FixedZone("CST", 8*3600)
	now := time.Date(2026, 6, 14, 22, 40, 8, 0, zone)
	for in, want := range map[string]time.Time{
		"": now, "now": now, "24h": now.Add(-24 * time.Hour), "-90m": now.Add(-90 * time.Minute), "7d": now.Add(-7 * 24 * time.Hour),
		"2026-06-14": time.Date(2026, 6, 14, 0, 0, 0, 0, zone), "2026-06-01T08:30": time.Date(2026, 6, 1, 8, 30, 0, 0, zone),
		"2026-06-01 08:30:15": time.Date(2026, 6, 1, 8, 30, 15, 0, zone), "2026-06-01T08:30:15Z": time.Date(2026, 6, 1, 8, 30, 15, 0, time.UTC),
		"08:00": time.Date(2026, 6, 14, 8, 0, 0, 0, zone),
	} {
		if got, ok := parseWhen(in, now); !ok || !got.Equal(want) {
			t.Errorf("%q is %v, %v", in, got, ok)
		}
	}
	for _, in := range []string{"yesterday", "2026-13-01", "0001-01-01", "1969-12-31", "25:00", "24", "9999-12-31", "--24h", "1e9d"} {
		if got, ok := parseWhen(in, now); ok {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, s := range []string{"24h", "-7d", "2026-06-14T08:00", "08:00", "now", "2026-06-01T08:30:15+08:00", "3649.9d"} {
		f.Add(s)
	}
	now := time.Date(2026, 6, 14, 22, 40, 8, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := parseWhen(s, now); ok && !sane(at) {
			t.Errorf("%q is %v", s, at)
		}
	})
}

// FuzzCSV holds that whatever a box answers, the export is a table that reads
// back, and that no cell of text is a formula.
func FuzzCSV(f *testing.F) {
	f.Add("m", "=1+1", 98.34, int64(1_781_000_000), uint8(1))
	f.Add("%\"LEL,\r\n", "\x00@cmd", math.Inf(1), int64(-1), uint8(200))
	f.Fuzz(func(t *testing.T, unit, why string, v float64, at int64, q uint8) {
		var out bytes.Buffer
		w := newCSVRows(&out, phrase.EN, false, false)
		when := time.Unix(at%(1<<33), 0)
		h := api.History{Unit: unit, Rows: []api.HistoryRow{{At: when, Until: when, Value: &v, Quality: point.Quality(q), Why: &api.Text{EN: why, ZH: why}}}}
		if err := w.page(h); err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(out.Bytes()) {
			t.Error("not UTF-8")
		}
		all, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(all) != 2 || len(all[1]) != len(all[0]) {
			t.Fatalf("%v %q", err, all)
		}
		for _, i := range []int{3, 6} {
			if c := all[1][i]; c != "" && strings.ContainsRune("=+-@", rune(c[0])) {
				t.Errorf("a formula: %q", c)
			}
		}
	})
}
