package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

type sense int

const (
	atMost sense = iota
	atLeast
)

// goal is what a figure is held to.
type goal struct {
	figure string
	sense  sense
	bound  float64
}

func (g goal) String() string {
	return fmt.Sprintf("%s %v", choose(g.sense == atMost, "<=", ">="), g.bound)
}

func (g goal) holds(v float64) bool {
	return !math.IsNaN(v) && choose(g.sense == atMost, v <= g.bound, v >= g.bound)
}

func (g goal) unit() string {
	if strings.HasPrefix(g.figure, "video.cpu_ms_per_viewer_s") {
		return "ms/s"
	}
	for suffix, u := range map[string]string{"_kb_gz": "kB", "_ms_median": "ms", "_mib_per_viewer": "MiB", "_written_year": "GB", "_ms_p99": "ms", "_ms": "ms", "_s": "s", "_mib": "MiB", "_share": "1", "_pct": "%"} {
		if strings.HasSuffix(g.figure, suffix) {
			return u
		}
	}
	return "count"
}

// printed is one figure as it is printed.
type printed struct {
	Figure  string   `json:"figure"`
	Value   *float64 `json:"value"`
	Unit    string   `json:"unit"`
	Goal    string   `json:"goal"`
	Holds   bool     `json:"holds"`
	N       int      `json:"n"`
	Seconds float64  `json:"seconds"`
	Seed    int64    `json:"seed"`
	Scaled  bool     `json:"scaled"`
	// Why says why there is no value, or what stands behind one.
	Why string `json:"why,omitempty"`
}

// peerPrinted is the same figure of a peer in the same run: no goal is held to it.
type peerPrinted struct {
	Figure  string  `json:"figure"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Peer    string  `json:"peer"`
	N       int     `json:"n"`
	Seconds float64 `json:"seconds"`
	Seed    int64   `json:"seed"`
	Scaled  bool    `json:"scaled"`
}

// printer prints lines, one a figure.
type printer struct {
	only  string
	long  bool
	seed  int64
	begun time.Time

	mu         sync.Mutex
	enc        *json.Encoder
	told       []string
	unmeasured int
}

func (p *printer) print(l printed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.HasPrefix(l.Figure, p.only) || slices.Contains(p.told, l.Figure) {
		return
	}
	p.told = append(p.told, l.Figure)
	if l.Value == nil {
		p.unmeasured++
	}
	l.Seed = p.seed
	l.Seconds = round(l.Seconds, 1)
	p.enc.SetEscapeHTML(false)
	p.enc.Encode(l)
}

func (p *printer) printPeer(l peerPrinted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.HasPrefix(l.Figure, p.only) || slices.Contains(p.told, l.Figure) {
		return
	}
	p.told = append(p.told, l.Figure)
	l.Seed, l.Seconds = p.seed, round(l.Seconds, 1)
	p.enc.Encode(l)
}

// tell prints a figure's value; n is of how many instances it speaks.
func (b *bench) tell(figure string, v float64, n int) { b.tellWhy(figure, v, n, "") }

// tellWhy says too what stands behind it.
func (b *bench) tellWhy(figure string, v float64, n int, why string) {
	i := slices.IndexFunc(b.goals, func(g goal) bool { return g.figure == figure })
	g := b.goals[i]
	if math.IsNaN(v) || n == 0 {
		b.fail(g, fmt.Errorf("nothing was measured"))
		return
	}
	v = round(v, 3)
	b.out.print(printed{Figure: figure, Value: &v, Unit: g.unit(), Goal: g.String(), Holds: g.holds(v), N: n,
		Seconds: time.Since(b.begun).Seconds(), Scaled: !b.long, Why: why})
	b.log("%s = %v %s (goal %s) over %d", figure, v, g.unit(), g, n)
}

// beside prints what a peer has in the same run: it has no goal.
func (b *bench) beside(figure, who string, v float64, n int) {
	g := b.goals[slices.IndexFunc(b.goals, func(g goal) bool { return g.figure == figure })]
	if math.IsNaN(v) || n == 0 {
		b.log("%s.%s: nothing was measured", figure, who)
		return
	}
	v = round(v, 3)
	b.out.printPeer(peerPrinted{Figure: figure + "." + who, Value: v, Unit: g.unit(), Peer: who, N: n, Seconds: time.Since(b.begun).Seconds(), Scaled: !b.long})
	b.log("%s.%s = %v %s over %d", figure, who, v, g.unit(), n)
}

// failed prints that what was not told could not be measured.
func (b *bench) failed(err error) {
	for _, g := range b.goals {
		b.fail(g, err)
	}
	b.log("could not be measured: %v", err)
}

func (b *bench) fail(g goal, err error) {
	b.out.print(printed{Figure: g.figure, Unit: g.unit(), Goal: g.String(), Seconds: time.Since(b.begun).Seconds(), Scaled: !b.long, Why: err.Error()})
}

func (b *bench) log(format string, a ...any) {
	fmt.Fprintf(os.Stderr, "%s %s: %s\n", time.Now().Format("15:04:05"), b.name, fmt.Sprintf(format, a...))
}

func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p) / p
}

// p99 is the value that at least 99 of 100 do not exceed (nearest rank); with
// fewer than a hundred it is the worst.
func p99(all []float64) float64 { return rank(all, 0.99) }

func rank(all []float64, q float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(all))
	return s[max(0, int(math.Ceil(q*float64(len(s))))-1)]
}

// spread tells how values lie, for the log.
func spread(all []float64) string {
	if len(all) == 0 {
		return "none"
	}
	return fmt.Sprintf("min %.1f, p50 %.1f, p90 %.1f, p99 %.1f, max %.1f of %d",
		rank(all, 0), rank(all, 0.5), rank(all, 0.9), p99(all), rank(all, 1), len(all))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
