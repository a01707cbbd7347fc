package station

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// proveWith proves the whole site with one thing changed and files beside it.
func proveWith(t *testing.T, files map[string]string, replace ...string) (*Blueprint, string) {
	t.Helper()
	dir := t.TempDir()
	files["s.yaml"] = strings.NewReplacer(replace...).Replace(whole)
	for name, text := range files {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bp, ps := Load(filepath.Join(dir, "s.yaml"))
	var all []string
	for _, p := range ps {
		if !p.Warning {
			all = append(all, p.In(phrase.ZH)+"\n"+p.In(phrase.EN))
		}
	}
	return bp, strings.Join(all, "\n")
}

// TestLevelsOfDifferentDataAreRefused: what each datum of site and device means
// for a threshold.
func TestLevelsOfDifferentDataAreRefused(t *testing.T) {
	const river = "unit: 2, zero: 96.20 m}"
	for _, c := range []struct {
		name, site, device, says string // says "" where it proves
	}{
		{"a zero is above the site's datum", "datum: 1985", "zero: 96.20 m", ""},
		{"the same datum told", "datum: 1985", "zero: 96.20 m, datum: 1985", ""},
		{"a gauge that gives the datum itself", "datum: 1985", "datum: 1985", ""},
		{"a zero above the other datum", "datum: 1985", "zero: 96.20 m, datum: pearl-river", "不同基面不能比较"},
		{"the other way round", "datum: pearl-river", "zero: 96.20 m, datum: 1985", "不同基面不能比较"},
		{"no zero", "datum: 1985", "name: {zh: 河}", "从水尺自己的零点起算"},
		{"its own zero, told", "datum: 1985", "datum: local", "不同基面不能比较"},
		{"a local site", "datum: local", "name: {zh: 河}", ""},
		{"a local site and a surveyed gauge", "datum: local", "zero: 3 m, datum: 1985", "不同基面不能比较"},
		{"a site that names none", "soil: wet", "name: {zh: 河}", ""},
		{"a site that names none, a gauge that does", "soil: wet", "datum: 1985", "站点却没有写基面"},
		{"no such datum", "datum: 1985", "zero: 96.20 m, datum: yellow-sea", "“yellow-sea” 不认识"},
	} {
		bp, said := proveWith(t, map[string]string{}, "datum: 1985", c.site, river, "unit: 2, "+c.device+"}")
		if c.says == "" && bp == nil || c.says != "" && (bp != nil || !strings.Contains(said, c.says)) {
			t.Errorf("%s: proves %v, says %s", c.name, bp != nil, said)
		}
		if c.says != "" && !strings.Contains(said, "s.yaml:20:") && !strings.Contains(said, "s.yaml:8:") {
			t.Errorf("%s: it names no place: %s", c.name, said)
		}
	}
	// How far it rises is the same above any zero.
	if bp, said := proveWith(t, map[string]string{}, river, "unit: 2}", "{point: river.level, prepare: 101.20 m, evacuate: 102.40 m, clear_below: 100.90 m, for: 10m}",
		"{point: river.level, rises: 0.80 m, over: 30m, prepare: true}"); bp == nil {
		t.Errorf("a rise above its own zero: %s", said)
	}
}

func TestTextDecidesNothing(t *testing.T) {
	const serial = `version: 1
profile: plate
name: {zh: 铭牌, en: plate}
manual: none, section 1
via: modbus
points:
  - {id: serial, name: {zh: 编号, en: serial}, read: holding 0, type: string, length: 2}
proof:
  - {sent: "01 03 00 00 00 02 C4 0B", heard: "01 03 04 53 4E 34 32 00 00", gives: {serial: SN42}}
`
	files := map[string]string{"profiles/plate.yaml": strings.Replace(serial, "32 00 00", "32 "+crcOf(0x01, 0x03, 0x04, 0x53, 0x4E, 0x34, 0x32), 1)}
	_, said := proveWith(t, files, "profile: generic-rain-rs485", "profile: plate", "{point: rain.total, over: 1h, prepare: 45 mm, evacuate: 60 mm}", "{point: rain.serial, prepare: 1 1, clear_below: 0 1}")
	if !strings.Contains(said, "测点 rain.serial 是文字") {
		t.Errorf("says %s", said)
	}
}

func crcOf(b ...byte) string {
	c := uint16(0xFFFF)
	for _, x := range b {
		c ^= uint16(x)
		for range 8 {
			if lsb := c & 1; lsb == 1 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
	}
	return fmt.Sprintf("%02X %02X", byte(c), byte(c>>8))
}

func TestNeighboursAreTheSitesGaugesOrThoseThatItNames(t *testing.T) {
	more := []string{"  relay: {profile", "  rain-b: {profile: generic-rain-rs485, line: west, unit: 3}\n  rain-c: {profile: generic-rain-rs485, line: west, unit: 4}\n  relay: {profile"}
	of := func(bp *Blueprint, id point.ID) []point.ID { return bp.Sources[id].Neighbours }
	bp, said := proveWith(t, map[string]string{}, more...)
	if bp == nil {
		t.Fatal(said)
	}
	if got := of(bp, "rain-b.total"); !slices.Equal(got, []point.ID{"rain.total", "rain-c.total"}) {
		t.Errorf("by itself: %v", got)
	}
	bp, said = proveWith(t, map[string]string{}, append(more, "languages: [cmn, yue]", "neighbours: [rain, rain-b]")...)
	if bp == nil {
		t.Fatal(said)
	}
	if a, c := of(bp, "rain.total"), of(bp, "rain-c.total"); !slices.Equal(a, []point.ID{"rain-b.total"}) || len(c) != 0 {
		t.Errorf("as named: %v %v", a, c)
	}
	if _, said = proveWith(t, map[string]string{}, "languages: [cmn, yue]", "neighbours: [rain, river]"); !strings.Contains(said, "neighbours 里的 “river”") || !strings.Contains(said, "s.yaml:2:") {
		t.Errorf("a river: %s", said)
	}
	if _, said = proveWith(t, map[string]string{"plausibility.yaml": "version: 1\nsurge: {within: 1h, inputs: 2, share: 0.5}\n"}); !strings.Contains(said, "plausibility.yaml 有误") {
		t.Errorf("a bad file: %s", said)
	}
	bp, said = proveWith(t, map[string]string{"plausibility.yaml": "version: 1\nclogged: {over: 1m, pour: 1 mm, share: 0.1, neighbours: 1}\n"})
	if bp == nil || bp.Doubts.Clogged.Over != time.Minute || bp.Doubts.Surge.Inputs != 0 {
		t.Errorf("a file beside the site's: %s", said)
	}
}
