package station

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/keep/bundle"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// What of the log is held in RAM.
const (
	diaryLines = 2000
	diaryBytes = 512 << 10
)

// What of the journal goes into a bundle, and which files are looked at for secrets.
const (
	bundleRecords = 3000
	secretLargest = 256 << 10
	secretFiles   = 500
)

// Logs gives the last lines of the log.
func (h *House) Logs(after int64, least string, limit int) []api.LogLine {
	var l slog.Level
	if l.UnmarshalText([]byte(least)) != nil {
		l = slog.LevelInfo
	}
	lines := h.diary.Lines(after, l, limit)
	if len(lines) == 0 {
		return nil
	}
	s := bundle.NewScrubber(h.secrets())
	out := make([]api.LogLine, 0, len(lines))
	for _, x := range lines {
		out = append(out, api.LogLine{Seq: x.Seq, At: x.At, Level: strings.ToLower(x.Level.String()), Text: s.Scrub(x.Text)})
	}
	return out
}

// secrets reads what the box keeps secret: files that only their owner may read, in the
// data directory and wherever the site's document names one. It errs on the side of too
// many.
func (h *House) secrets() [][]byte {
	var out [][]byte
	take := func(file string) {
		st, err := os.Stat(file)
		if err != nil || !st.Mode().IsRegular() || st.Mode().Perm()&0o077 != 0 || st.Size() > secretLargest || len(out) >= secretFiles {
			return
		}
		if b, err := os.ReadFile(file); err == nil {
			out = append(out, b)
		}
	}
	for _, dir := range []string{".", "secrets", "keys", "access", "tls"} {
		all, _ := os.ReadDir(filepath.Join(h.o.Data, dir))
		for _, f := range all {
			if n := f.Name(); !strings.Contains(n, ".db") && !strings.HasSuffix(n, ".yaml") {
				take(filepath.Join(h.o.Data, dir, n))
			}
		}
	}
	// Where the disk is dead, two are in RAM alone.
	if h.token != nil {
		out = append(out, []byte(h.token.String()))
	}
	if h.door != nil {
		out = append(out, []byte(h.door.SetupSecret()))
	}
	doc := h.seen().bp.Doc
	if b, err := os.ReadFile(doc.File); err == nil {
		var v any
		if yaml.Unmarshal(b, &v) == nil {
			eachString(v, func(s string) {
				if s != "" && len(s) < 4096 {
					take(beside(doc.File, s))
				}
			})
		}
	}
	return out
}

func eachString(v any, f func(string)) {
	switch x := v.(type) {
	case string:
		f(x)
	case []any:
		for _, y := range x {
			eachString(y, f)
		}
	case map[string]any:
		for _, y := range x {
			eachString(y, f)
		}
	}
}

// Bundle packs what helps a person far away.
func (h *House) Bundle(ctx context.Context) (api.Paper, error) {
	now := h.clock.Now()
	var parts []bundle.Part
	put := func(name string, v any) {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			b = []byte(err.Error())
		}
		parts = append(parts, bundle.Part{Name: name + ".json", Text: string(b) + "\n"})
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	put("version", map[string]any{"version": Version, "built": BuildTime(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "now": now, "started": h.begun,
		"heap_bytes": mem.HeapAlloc, "goroutines": runtime.NumGoroutine()})
	put("status", h.Status())
	put("faults", h.Faults())
	put("readings", h.Readings())
	put("lines", h.Lines())
	put("alarms", h.Alarms())
	put("soundings", h.Soundings())
	put("links", h.Links())
	put("times", h.Times())
	put("identity", h.Identity())
	put("people", h.People(false))
	put("journal-counters", h.journal.Stats())
	if c, err := h.Commissioning(); err == nil {
		put("commissioning", c)
	}
	if r, err := h.Revisions(); err == nil {
		put("revisions", r)
	}
	var log strings.Builder
	for _, l := range h.diary.Lines(0, slog.LevelDebug, diaryLines) {
		fmt.Fprintf(&log, "%s %s %s\n", l.At.UTC().Format(time.RFC3339Nano), l.Level, l.Text)
	}
	parts = append(parts, bundle.Part{Name: "log.txt", Text: log.String(), Tail: true})
	parts = append(parts, bundle.Part{Name: "blackbox.txt", Text: h.recorder.text(), Tail: true})
	doc := h.seen().bp.Doc
	if b, err := readAtMost(doc.File, bundle.MostPart); err == nil {
		parts = append(parts, bundle.Part{Name: "site.yaml", Text: config.Hide(string(b))})
	}
	read, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var records strings.Builder
	for after := max(0, h.journal.Stats().LastSeq-bundleRecords); ; {
		rs, err := h.Journal(read, after, 1000)
		if err != nil {
			fmt.Fprintln(&records, err)
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			b, _ := json.Marshal(r)
			records.Write(append(b, '\n'))
			after = r.Seq
		}
	}
	parts = append(parts, bundle.Part{Name: "journal.ndjson", Text: records.String(), Tail: true})
	name := fmt.Sprintf("tocsin-%s-%s", doc.Site.Site.ID, now.Wall.UTC().Format("20060102-150405"))
	b, err := bundle.Pack(name, now.Wall, parts, bundle.NewScrubber(h.secrets()))
	if err != nil {
		return api.Paper{}, phrase.Wrap(err, "station.bundle_failed", "err", err)
	}
	h.record("support.bundle", phrase.M("station.bundle_made", "bytes", len(b)), nil)
	return api.Paper{Media: "application/gzip", Name: name + ".tar.gz", Bytes: b}, nil
}

func readAtMost(file string, most int64) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if st.Size() > most || !st.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	return os.ReadFile(file)
}
