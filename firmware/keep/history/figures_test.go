package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/point"
)

// figuresDir names a folder on a real file system; cmd/figures sets it and reads
// what TestFigures prints.
const (
	figuresDir  = "HISTORY_FIGURES"
	figuresLong = "HISTORY_FIGURES_LONG"
)

// load is 64 points that move with every reading: half are registers that jitter
// by some steps, half floating-point numbers that jitter in their last places.
type load struct {
	b   *box
	rng *rand.Rand
	at  [64]float64
}

func (l *load) describe(id point.ID) Point {
	p := Point{Period: time.Second, Limit: 5 * time.Second}
	var n int
	if fmt.Sscanf(string(id), "p%d.value", &n); n%2 == 0 {
		p.Resolution = 0.001
	}
	return p
}

func (l *load) second(step time.Duration) {
	now := l.b.c.Now()
	for i := range l.at {
		l.at[i] += l.rng.NormFloat64() * 0.003
		v := 50 + float64(i) + l.at[i]
		if i%2 == 0 {
			v = math.Round(v*1000) / 1000
		} else {
			v = float64(float32(v))
		}
		r := point.Reading{Point: point.ID(fmt.Sprintf("p%d.value", i)), Value: v, Unit: "m", Quality: point.Good, At: now.Add(time.Duration(l.rng.IntN(40)) * time.Millisecond)}
		l.b.give(r)
	}
	l.b.c.add(step)
}

// waitFor lets the writer keep up, so that batches are written as they would be.
func (l *load) waitFor() {
	for l.b.Stats().Waiting > 4*64*30 {
		runtime.Gosched()
	}
}

// written gives what the kernel says this process has caused to be written.
func writtenBytes(t testing.TB) int64 {
	f, err := os.Open("/proc/self/io")
	if err != nil {
		t.Skip("no /proc/self/io: ", err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var n int64
		if _, err := fmt.Sscanf(sc.Text(), "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("no write_bytes in /proc/self/io")
	return 0
}

func pss(t testing.TB) float64 {
	b, _ := os.ReadFile("/proc/self/smaps_rollup")
	for l := range strings.Lines(string(b)) {
		var kb float64
		if n, _ := fmt.Sscanf(l, "Pss: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return math.NaN()
}

type figures struct {
	GBYear  float64 `json:"gb_written_year"`
	Hours   int     `json:"hours"`
	QueryMS float64 `json:"query_ms_p99"`
	Queries int     `json:"queries"`
	Days    int     `json:"days"`
	FileMiB float64 `json:"file_mib"`
	// PSS is of the test's process with the 30 days open.
	PSS float64 `json:"pss_mib"`
}

// TestFigures measures on the real path with a clock that runs faster: what an
// hour of 64 points at 1 Hz writes, and how long 30 days of one point take.
func TestFigures(t *testing.T) {
	dir := os.Getenv(figuresDir)
	if dir == "" {
		t.Skip("set " + figuresDir + " to a folder on a real file system")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || uint32(st.Type) == unix.TMPFS_MAGIC || uint32(st.Type) == unix.RAMFS_MAGIC {
		t.Fatal(dir, " is in RAM: ", err)
	}
	var f figures
	f.GBYear, f.Hours = measureWrites(t, dir+"/hour")
	measureQueries(t, dir+"/month", &f)
	out, _ := json.Marshal(f)
	fmt.Printf("FIGURES %s\n", out)
}

func measureWrites(t *testing.T, dir string) (gb float64, hours int) {
	l := &load{rng: rand.New(rand.NewPCG(1, 2))}
	l.b = openBox(t, dir, newHand(), func(o *Opts) { o.Describe = l.describe })
	l.b.written()
	before := writtenBytes(t)
	hours = 1
	for range hours * 3600 {
		l.second(time.Second)
		l.waitFor()
	}
	l.b.written()
	l.b.end() // and what the end writes: the WAL goes into its place
	wrote := writtenBytes(t) - before
	if s := l.b.Stats(); s.Lost > 0 || s.Taken != int64(hours)*3600*64 || s.Batches < int64(hours)*115 {
		t.Fatalf("%+v", s)
	}
	if wrote == 0 {
		t.Fatal("the kernel counted no byte: is this a real file system?")
	}
	return float64(wrote) / float64(hours) * 24 * 365 / 1e9, hours
}

func measureQueries(t *testing.T, dir string, f *figures) {
	l := &load{rng: rand.New(rand.NewPCG(3, 4))}
	l.b = openBox(t, dir, newHand(), func(o *Opts) { o.Describe = l.describe; o.Most = 4 << 30 })
	f.Days = 31
	fast := 1 // the last days in full; roll-ups are as many either way
	if os.Getenv(figuresLong) != "" {
		fast = f.Days
	}
	for day := range f.Days {
		step := 30 * time.Second
		if day >= f.Days-fast {
			step = time.Second
		}
		for range int(24 * time.Hour / step) {
			l.second(step)
			l.waitFor()
		}
	}
	for range 1500 { // into the hour, so that not all of it is rolled up
		l.second(time.Second)
	}
	l.b.written()
	if st, err := os.Stat(dir + "/" + fileName); err == nil {
		f.FileMiB = float64(st.Size()) / (1 << 20)
	}
	var took []float64
	now := l.b.c.Now().Wall
	for range 300 {
		to := now.Add(-time.Duration(l.rng.IntN(86400)) * time.Second)
		began := time.Now()
		a := l.b.rows(point.ID(fmt.Sprintf("p%d.value", l.rng.IntN(64))), to.Add(-30*24*time.Hour), to, false, 1000)
		took = append(took, float64(time.Since(began).Microseconds())/1000)
		if len(a.Rows) < 715 {
			t.Fatalf("30 days are %d rows", len(a.Rows))
		}
	}
	slices.Sort(took)
	f.QueryMS, f.Queries = took[int(math.Ceil(0.99*float64(len(took))))-1], len(took)
	f.PSS = pss(t)
}
