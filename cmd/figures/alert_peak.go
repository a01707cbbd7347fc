package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// peakEnv asks this program to be the process that opens one text and says what it
// took: a folder with the text and the site's trust.
const peakEnv = "TOCSIN_FIGURES_OPEN"

// peakGC is how far the heap of that process grows before it is collected, in
// percent, lower than a box's 50: what is measured shall be what the text needs.
const peakGC = 10

// opening is what such a process says.
type opening struct {
	Heap  uint64 `json:"heap"` // the most that its heap held above what it held before, garbage included
	VmHWM int64  `json:"hwm"`  // by how much its resident peak rose, of the whole process
	Took  int64  `json:"took_ns"`
	Known bool   `json:"known"` // it was read as an alert
}

// alertPeak measures the most memory that reading, verifying and judging one text of
// at most 1 MiB takes, each in a process of its own with the trust of the bench's site
// and a collector under pressure.
func alertPeak(b *bench) error {
	d, err := newDesk(b.seed)
	if err != nil {
		return err
	}
	trusted, err := d.trusted()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "trust.yaml"), []byte(trusted), 0o644); err != nil {
		return err
	}
	shapes := d.costly(b.rng(), b.n(30, 400))
	worst, resident, read := 0.0, 0.0, 0
	var slowest time.Duration
	name, slow := "", ""
	for _, s := range shapes {
		text := s.make()
		if len(text) > 1<<20 {
			text = text[:1<<20]
		}
		if err := os.WriteFile(filepath.Join(b.dir, "text"), text, 0o644); err != nil {
			return err
		}
		c := exec.CommandContext(b.ctx, self)
		c.Env = append(os.Environ(), peakEnv+"="+b.dir, fmt.Sprintf("GOGC=%d", peakGC))
		c.Stderr = os.Stderr
		out, err := c.Output()
		var o opening
		if err == nil {
			err = json.Unmarshal(out, &o)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if o.Known {
			read++
		}
		if v := float64(o.Heap) / (1 << 20); v > worst {
			worst, name = v, s.name
		}
		resident = max(resident, float64(o.VmHWM)/(1<<20))
		if took := time.Duration(o.Took); took > slowest {
			slowest, slow = took, s.name
		}
	}
	if read < len(shapes)/4 {
		return fmt.Errorf("only %d of %d texts were read as alerts: the rest measured little", read, len(shapes))
	}
	b.tellWhy("alert.parse_peak_mib", max(worst, resident), len(shapes), fmt.Sprintf("the greater of the heap, garbage included (%.1f MiB, %s), and the rise of VmHWM (%.1f MiB), with GOGC=%d; slowest %v (%s); %d were read as alerts",
		worst, name, resident, peakGC, slowest.Round(time.Millisecond), slow, read))
	return nil
}

// openIfAsked is that process.
func openIfAsked() {
	dir := os.Getenv(peakEnv)
	if dir == "" {
		return
	}
	o, err := openOne(dir)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "open:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func openOne(dir string) (o opening, err error) {
	trusted, err := os.ReadFile(filepath.Join(dir, "trust.yaml"))
	if err != nil {
		return o, err
	}
	r, err := readerFor(string(trusted))
	if err != nil {
		return o, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "text"))
	if err != nil {
		return o, err
	}
	r.Open([]byte("<alert/>"))
	runtime.GC()
	debug.FreeOSMemory()
	held := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	base, before := held(), residentPeak()
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		high := uint64(0)
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			high = max(high, held())
			select {
			case <-done:
				most <- high
				return
			case <-tick.C:
			}
		}
	}()
	begin := time.Now()
	got := r.Open(text)
	o.Took = int64(time.Since(begin))
	close(done)
	high := <-most
	o.Heap, o.VmHWM, o.Known = high-min(high, base), residentPeak()-before, got.Alert != nil
	runtime.KeepAlive(text)
	return o, nil
}

// residentPeak is VmHWM, in bytes.
func residentPeak() int64 {
	p, _ := os.ReadFile("/proc/self/status")
	for l := range strings.Lines(string(p)) {
		if f := strings.Fields(l); len(f) == 3 && f[0] == "VmHWM:" {
			return int64(atoi(f[1])) << 10
		}
	}
	return 0
}

// shape is one text that is made to cost.
type shape struct {
	name string
	make func() []byte
}

// costly are texts of up to 1 MiB, each as costly as it can be in its own way, and
// random mixtures of them, signed by the county, by a stranger many times over, and
// not at all.
func (d *desk) costly(r *rand.Rand, random int) []shape {
	rep := strings.Repeat
	l := xmldsig.DefaultLimits
	genuine := func() string {
		return string(d.g.Next(capgen.Options{Profile: "cap", Sent: time.Now().Add(-time.Minute)}).Text)
	}
	// Each unit is put many times where it may stand.
	units := []struct{ name, at, unit string }{
		{"areas", "</info>", "<area><areaDesc/></area>"},
		{"areas with circles", "</info>", "<area><areaDesc>x</areaDesc><circle>1,1 1</circle></area>"},
		{"areas with wrong circles", "</info>", "<area><areaDesc/><circle>x</circle></area>"},
		{"geocodes", "</area>", "<geocode><valueName>a</valueName><value>b</value></geocode>"},
		{"points", "</polygon>", " 1,1"},
		{"points of some length", "</polygon>", " 24.123456,112.345678"},
		{"polygons", "</area>", "<polygon>1,1 1,2 2,2 1,1</polygon>"},
		{"words", "</description>", "水"},
		{"references", "</description>", "&#10;&lt;"},
		{"CDATA", "</description>", "<![CDATA[x]]>"},
		{"comments", "</description>", "x<!---->"},
		{"instructions", "</info>", "<?d?>"},
		{"bindings", "</alert>", `<y xmlns="urn:y"/>`},
		{"attributes", "</alert>", `<y a="" b="" c="" d=""/>`},
		{"elements", "</alert>", "<y/>"},
		{"codes", "<info>", "<code>a</code>"},
		{"parameters", "<area>", "<parameter><valueName>a</valueName><value>b</value></parameter>"},
		{"resources", "<area>", "<resource><resourceDesc>a</resourceDesc><mimeType>a/b</mimeType></resource>"},
		{"infos", "</alert>", "<info><category>Met</category><event>e</event><urgency>Past</urgency><severity>Minor</severity><certainty>Likely</certainty></info>"},
		{"line ends", "</description>", "\r\n"},
		{"brackets", "</description>", ">"},
	}
	// As many as there is room for, and no more than are read: what is beyond a limit
	// is refused before it costs.
	fill := func(text, at, unit string, room int, within bool) string {
		i := strings.LastIndex(text, at)
		n := (room - len(text)) / len(unit)
		if within {
			elements := strings.Count(unit, "<") - strings.Count(unit, "</") - strings.Count(unit, "<!") - strings.Count(unit, "<?")
			attributes := strings.Count(unit, `="`) - strings.Count(unit, "<?x")
			nodes := elements + strings.Count(unit, "<!")*2 + strings.Count(unit, "<?") + strings.Count(unit, "</")
			n = min(n, (l.Elements-600)/max(1, elements), (l.Attributes-300)/max(1, attributes), (l.Nodes-1200)/max(1, nodes))
		}
		if i < 0 || n < 1 {
			return text
		}
		return text[:i] + rep(unit, n) + text[i:]
	}
	withPolygon := func() string {
		return strings.Replace(genuine(), "</areaDesc>", "</areaDesc><polygon>1,1 1,2 2,2 1,1</polygon>", 1)
	}
	signed := func(text string, key string, times int) []byte {
		out := []byte(text)
		for i := range times {
			b, err := d.sign(out, key, 1+2*i)
			if err != nil {
				return out // beyond the limits: then it is tried as it is
			}
			out = b
		}
		return out
	}
	var all []shape
	for _, u := range units {
		for _, within := range []bool{true, false} {
			text := func() string { return fill(withPolygon(), u.at, u.unit, 1<<20-40<<10, within) }
			n := u.name
			if !within {
				n += " beyond the limits"
			}
			all = append(all,
				shape{n, func() []byte { return []byte(text()) }},
				shape{n + ", signed", func() []byte { return signed(text(), "p-256", 1) }},
				shape{n + ", signed often by a stranger", func() []byte { return signed(text(), keyStranger, l.Signatures) }},
				shape{n + ", signed often and spoilt", func() []byte {
					return bytes.Replace(signed(text(), "p-256", l.Signatures), []byte("<info>"), []byte("<info> "), 1)
				}})
		}
	}
	all = append(all,
		shape{"never closed", func() []byte { return []byte(rep("<a>", 1<<20/3)) }},
		shape{"brackets alone", func() []byte { return []byte(rep("<", 1<<20)) }},
		shape{"ampersands", func() []byte { return []byte("<alert>" + rep("&", 1<<20-7)) }},
		shape{"zeros", func() []byte { return make([]byte, 1<<20) }},
		shape{"deep", func() []byte {
			return []byte("<alert>" + rep("<b>", l.Depth-2) + rep("<c/>", l.Elements-l.Depth-10) + rep("</b>", l.Depth-2) + "</alert>")
		}},
		shape{"881 kB of polygon", func() []byte {
			return signed(string(d.g.Large(capgen.Options{Sent: time.Now()}, 881_000).Text), "rsa", 1)
		}},
	)
	for i := range random {
		all = append(all, shape{fmt.Sprintf("mixture %d", i), func() []byte {
			text := withPolygon()
			for range 2 + r.IntN(4) {
				u := units[r.IntN(len(units))]
				text = fill(text, u.at, u.unit, len(text)+r.IntN(260<<10), true)
			}
			return signed(text[:min(len(text), 1<<20)], []string{"p-256", "sm2", keyStranger}[r.IntN(3)], 1+r.IntN(l.Signatures))
		}})
	}
	return all
}
