package alert

import (
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// huangdu is where the generator's alerts are for.
var huangdu = Place{Code: "441882103201", Lat: 24.7812, Lon: 112.3790}

// TestNoGenuineAlertOfAnyProfileIsRefused is the second worst thing that this room
// could do.
func TestNoGenuineAlertOfAnyProfileIsRefused(t *testing.T) {
	tt := tables(t)
	g := capgen.New(1)
	seen := map[string]int{}
	for range 3000 {
		o := capgen.Options{Away: seen["all"]%5 == 0}
		if seen["all"]%7 == 0 {
			o.MsgType, o.References = "Update", []capgen.Ref{{Sender: "a", Identifier: "b", Sent: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}}
		}
		w := g.Next(o)
		seen["all"]++
		seen[w.Profile]++
		a, found := Parse(w.Text, tt)
		if len(found) > 0 {
			t.Fatalf("%s: found %s in\n%s", w.Profile, codes(found), w.Text)
		}
		in := a.Infos[0]
		concerns, why := a.Concerns(huangdu, tt)
		if a.Profile != w.Profile || a.Ref().Key() != (Ref{w.Ref.Sender, w.Ref.Identifier, w.Ref.Sent}).Key() || in.Colour != w.Colour ||
			tt.SeverityOf(&in) != w.Severity || tt.HazardOf(&in) != w.Hazard || !in.Expires.Equal(w.Expires) || len(a.References) != len(w.References) || concerns != w.Concerns {
			t.Fatalf("%s: read %+v (%q, hazard %s, here %v: %s), written %+v\n%s", w.Profile, a.Ref(), in.Colour, tt.HazardOf(&in), concerns, why.In("en"), w.Ref, w.Text)
		}
	}
	for _, p := range capgen.Profiles {
		if seen[p] == 0 {
			t.Errorf("no alert of %s", p)
		}
	}
}

func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	tt := tables(t)
	g := capgen.New(2)
	for range 500 {
		w := g.Next(capgen.Options{})
		a, _ := Parse(w.Text, tt)
		out, err := Write(a, WriteOptions{Tables: tt})
		if err != nil {
			t.Fatal(err)
		}
		b, found := Parse(out, tt)
		if len(found) > 0 {
			t.Fatalf("%s in\n%s", codes(found), out)
		}
		again, err := Write(b, WriteOptions{Tables: tt})
		if err != nil || string(again) != string(out) || a.Ref().Key() != b.Ref().Key() || a.Infos[0].Colour != b.Infos[0].Colour {
			t.Fatalf("%v\n%s\n%s", err, out, again)
		}
	}
}

func large(t testing.TB) []byte {
	w := capgen.New(3).Large(capgen.Options{}, 881_000)
	if n := len(w.Text); n < 860_000 || n > 900_000 {
		t.Fatalf("%d bytes", n)
	}
	return w.Text
}

func TestTheLargestAlertOfTheFieldIsReadInTime(t *testing.T) {
	text := large(t)
	tt := tables(t)
	best := time.Hour
	for range 3 {
		start := time.Now()
		a, found := Parse(text, tt)
		yes, _ := a.Concerns(huangdu, tt)
		best = min(best, time.Since(start))
		if len(found) > 0 || !yes {
			t.Fatalf("here %v, %s", yes, codes(found))
		}
	}
	if best > 200*time.Millisecond {
		t.Errorf("%v", best)
	}
	t.Logf("%d bytes in %v", len(text), best)
}

func BenchmarkLargest(b *testing.B) {
	text := large(b)
	tt := tables(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		a, _ := Parse(text, tt)
		a.Concerns(huangdu, tt)
	}
}

// hostile are texts of 1 MiB that are made to cost: many elements, points, bindings,
// findings, self-crossings that boxes cannot tell apart.
func hostile() map[string]string {
	fill := func(begin, unit, end string) string {
		n := (1<<20 - len(begin) - len(end)) / len(unit)
		return begin + strings.Repeat(unit, n) + end
	}
	head, tail, _ := strings.Cut(good, "</info>")
	tail = "</info>" + tail
	poly, rest, _ := strings.Cut(good, "24.7,112.3 24.9")
	rest = "24.9" + rest
	comb := func() string {
		var b strings.Builder
		for i := 0; b.Len() < 900_000; i++ { // long teeth: every box meets every other
			if i%2 == 0 {
				b.WriteString("1.5,1 ")
			} else {
				b.WriteString("9.5,9 ")
			}
		}
		return strings.Replace(poly, "<polygon>", "<polygon>"+b.String(), 1) + rest
	}
	return map[string]string{
		"codes":      strings.Replace(good, "<note>", strings.Repeat("<code>a</code>", 74_000)+"<note>", 1),
		"parameters": fill(head, "<area><areaDesc/></area>", tail),
		"geocodes":   fill(strings.Replace(head, "<altitude>100</altitude>\n      <ceiling>900</ceiling>\n    </area>\n", "", 1), "<geocode><valueName>a</valueName><value>b</value></geocode>", "</area>"+tail),
		"points":     fill(poly, "1,1 ", rest),
		"comb":       comb(),
		"entities":   fill(strings.Replace(head, "请立即转移。</instruction>", "", 1)[:strings.Index(head, "<instruction>")+13], "&#10;&lt;", "</instruction>"+tail),
		"text":       fill(head[:strings.Index(head, "<instruction>")+13], "水", "</instruction>"+tail),
		"cdata":      fill(head[:strings.Index(head, "<instruction>")+13], "<![CDATA[x]]>", "</instruction>"+tail),
		"references": strings.Replace(good, "<references>", "<references>"+strings.Repeat("a,b,2026-05-12T21:40:00+08:00 ", 30_000), 1),
		"binding":    fill("<alert xmlns=\""+Namespace+"\">", `<y xmlns="urn:y"/>`, "</alert>"),
		"attributes": fill("<alert xmlns=\""+Namespace+"\">", `<y a="" b="" c="" d="" e="" f="" xmlns="urn:y"/>`, "</alert>"),
		"deep":       fill("<alert xmlns=\""+Namespace+"\">", `<y>`, ""),
		"findings":   fill(head, "<area><areaDesc/><circle>x</circle></area>", tail),
		"list":       strings.Replace(good, "one \"two three\"", strings.Repeat("a ", 500_000), 1),
		"media":      strings.Replace(good, "aGVsbG8=", strings.Repeat("AAAA", 250_000), 1),
	}
}

func TestNoMebibyteCostsMuchMemoryOrTime(t *testing.T) {
	tt := tables(t)
	c := newCounty(t, trust.P256, func(i *trust.IssuerDocument) { i.Lenient = true })
	for name, text := range hostile() {
		if len(text) > 1<<20 {
			t.Errorf("%s: %d bytes: the text would be refused unread", name, len(text))
			continue
		}
		b := []byte(text)
		held(t, name, func() {
			if a, _ := Parse(b, tt); a != nil {
				a.Concerns(huangdu, tt)
				tt.ActionFor(a, nil)
			}
		})
		held(t, name+", opened", func() { c.r.Open(b) })
		if signed, err := xmldsig.Sign(b, c.signer, nil, xmldsig.SignOptions{}); err == nil {
			held(t, name+", signed", func() { c.r.Open(signed) })
		}
	}
}

// held runs f and holds its peak of live heap and the processor's time that it takes; what
// else runs on the machine is not f's.
func held(t *testing.T, name string, f func()) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		var now runtime.MemStats
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(200 * time.Microsecond):
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
	}()
	runtime.LockOSThread()
	start := busy(t)
	f()
	took := busy(t) - start
	runtime.UnlockOSThread()
	close(stop)
	used := max(0, int64(<-peak)-int64(before.HeapAlloc))
	t.Logf("%-20s %6.1f MiB %8v", name, float64(used)/(1<<20), took.Round(time.Millisecond))
	if used > 32<<20 {
		t.Errorf("%s: %d MiB", name, used>>20)
	}
	if took > 3*time.Second {
		t.Errorf("%s: %v", name, took)
	}
}

// busy is how long this thread has had a processor.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
