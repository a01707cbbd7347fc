package xmldsig

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/trust"
)

// peakMost is what any text of 1 MiB may take while it is parsed and verified.
const peakMost = 32 << 20

// signedBy appends n signatures of a stranger's key to a document, each right, so that
// every one costs all that it can.
func signedBy(t testing.TB, doc string, n int, f ...string) []byte {
	t.Helper()
	s := newSigner(t, trust.P256)
	cert, err := s.SelfSigned("stranger", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	b := []byte(doc)
	for i := range n {
		if b, err = Sign(b, s, cert, SignOptions{C14N: f[i%len(f)]}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// spoilt breaks the digests but not the values: then every attempt is made in vain.
func spoilt(b []byte) []byte {
	return []byte(strings.Replace(string(b), "<a ", "<a x='' ", 1))
}

// shapes are texts that are as costly as the limits allow, each in its own way. They are made one
// by one: what lies in memory beside decides when garbage is collected.
func shapes(t testing.TB) map[string]func() []byte {
	l := DefaultLimits
	rep := strings.Repeat
	wrap := func(body string, depth int) string {
		return "<a y=''>" + rep("<b>", depth) + body + rep("</b>", depth) + "</a>"
	}
	room := l.Bytes - 40<<10
	out := map[string]func() string{
		"tiny elements":          func() string { return wrap(rep("<c/>", l.Elements-100), 0) },
		"tiny elements and text": func() string { return wrap(rep("<c>d</c>", l.Elements-100), 0) },
		"texts cut by comments":  func() string { return wrap(rep("d<!---->", l.Nodes/2-100), 0) },
		"instructions":           func() string { return wrap(rep("<?d?>", l.Nodes-200), 0) },
		"deep and heavy":         func() string { return wrap(rep("<c>d</c>", l.Elements-100), l.Depth-4) },
		"as heavy as may be":     func() string { return wrap(rep("<c>d<c/></c>", l.Elements/2-100), l.Depth-4) },
		"attributes":             func() string { return wrap("<c "+numbered("d%d='' ", l.Attributes-200)+"/>", 0) },
		"attributes everywhere":  func() string { return wrap(rep("<c d=''/>", l.Attributes-200), 1) },
		"long attributes": func() string {
			return wrap(rep("<c d='"+rep("e", l.AttributeBytes)+"'/>", room/(l.AttributeBytes+10)), 1)
		},
		"long names": func() string { return wrap(rep("<"+rep("n", l.NameBytes)+"/>", room/(l.NameBytes+3)/2), 0) },
		"namespaces": func() string {
			return "<a y='' " + numbered("xmlns:n%d='urn:n' ", l.Namespaces-3) + ">" + rep("<n1:c/>", l.Elements-200) + "</a>"
		},
		"namespaces said again": func() string { return wrap(rep("<n1:c xmlns:n1='urn:n1'/>", l.Attributes-200), 0) },
		"one long text":         func() string { return wrap(rep("d", room), 0) },
		"references":            func() string { return wrap(rep("&#65;", room/5), 0) },
		"characters that grow":  func() string { return wrap(rep(">", room/4), 0) },
		"polygons":              func() string { return wrap(rep("<c>"+rep("24.123,112.456 ", 600)+"</c>", room/9010), 3) },
	}
	all := map[string]func() []byte{
		"one unclosed":    func() []byte { return []byte(rep("<a>", l.Bytes/3)) },
		"brackets":        func() []byte { return []byte(rep("<", l.Bytes)) },
		"ampersands":      func() []byte { return []byte("<a>" + rep("&", l.Bytes-3)) },
		"quotes":          func() []byte { return []byte("<a b='" + rep("\"", l.Bytes-6)) },
		"comment opens":   func() []byte { return []byte(rep("<!--", l.Bytes/4)) },
		"carriage return": func() []byte { return []byte("<a>" + rep("\r", l.Bytes-7) + "</a>") },
	}
	for name, doc := range out {
		for _, f := range []string{C14N10, ExclusiveC14N} {
			all[name+", "+f] = func() []byte { return signedBy(t, doc(), 1, f) }
		}
	}
	for _, name := range []string{"one long text", "as heavy as may be", "polygons", "namespaces", "tiny elements and text", "characters that grow"} {
		for _, f := range []string{C14N10, ExclusiveC14N} {
			all[name+", many signatures, "+f] = func() []byte { return signedBy(t, out[name](), l.Signatures, f) }
			all[name+", many signatures, spoilt, "+f] = func() []byte { return spoilt(signedBy(t, out[name](), l.Signatures, f)) }
		}
		// Each in another form than the one before, so that nothing can be kept.
		all[name+", forms by turns, spoilt"] = func() []byte {
			return spoilt(signedBy(t, out[name](), l.Signatures, ExclusiveC14N, C14N10))
		}
	}
	return all
}

// peak runs f and gives the most heap that was in use meanwhile, garbage included.
func peak(f func()) uint64 {
	sample := func(s []metrics.Sample) uint64 {
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	name := "/memory/classes/heap/objects:bytes"
	runtime.GC()
	debug.FreeOSMemory()
	base := sample([]metrics.Sample{{Name: name}})
	done := make(chan struct{})
	most := make(chan uint64)
	go func() {
		s := []metrics.Sample{{Name: name}}
		high := uint64(0)
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			high = max(high, sample(s))
			select {
			case <-done:
				most <- high
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(done)
	high := <-most
	return high - min(high, base)
}

func TestNoTextOfOneMiBTakesMoreThanItsShareOfMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory")
	}
	all := shapes(t)
	worst, slowest, name, slow := uint64(0), time.Duration(0), "", ""
	parsed := 0
	for n, make := range all {
		b := make()
		var err error
		begin := time.Now()
		p := peak(func() {
			var d *Document
			if d, err = Parse(b, Limits{}); err == nil {
				parsed++
				runtime.KeepAlive(d.Verify(nil, Options{Lenient: true, SHA1: true}))
			}
		})
		took := time.Since(begin)
		if p > worst {
			worst, name = p, n
		}
		if took > slowest {
			slowest, slow = took, n
		}
		t.Logf("%6.1f MiB %8s %8d B %v %s", float64(p)/(1<<20), took.Round(time.Millisecond), len(b), err, n)
		if p > peakMost {
			t.Errorf("%s: %.1f MiB", n, float64(p)/(1<<20))
		}
	}
	if parsed < 40 {
		t.Errorf("only %d shapes were within the limits: the rest measured nothing", parsed)
	}
	t.Logf("worst %.1f MiB (%s), slowest %v (%s)", float64(worst)/(1<<20), name, slowest, slow)
}

// large makes an alert as the largest real ones are: 881 kB of polygons.
func large(t testing.TB) []byte {
	var w strings.Builder
	w.WriteString(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a1</identifier><sender>county@example.cn</sender><info><event>flood</event><area>`)
	for w.Len() < 878<<10 {
		w.WriteString("\n<polygon>")
		for i := range 900 {
			fmt.Fprintf(&w, "%.5f,%.5f ", 12+float64(i)/997, -1-float64(i)/1009)
		}
		w.WriteString("12.0,-1.0</polygon>")
	}
	w.WriteString("</area></info></alert>")
	return signedBy(t, w.String(), 1, C14N11)
}

func BenchmarkVerifyLarge(b *testing.B) {
	text := large(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d, err := Parse(text, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if got := d.Verify(nil, Options{}); got[0].Err != nil {
			b.Fatal(got[0].Err)
		}
	}
}

func TestALargeAlertIsVerifiedInTime(t *testing.T) {
	text := large(t)
	best := time.Hour
	for range 5 {
		begin := time.Now()
		d := parse(t, text)
		if got := d.Verify(nil, Options{}); got[0].Err != nil {
			t.Fatal(got[0].Err)
		}
		best = min(best, time.Since(begin))
	}
	t.Logf("%d bytes in %v", len(text), best)
	if best > 300*time.Millisecond {
		t.Errorf("%v", best)
	}
}
