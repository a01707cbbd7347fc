package pictures

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/engine"
	"tocsin/firmware/phrase"
)

// giveSeen gives all that is kept of who saw what, as a table for whoever has to answer for it: two
// lines for each, its beginning and its end, as they were written. The page shows the newest alone.
func (p *Pictures) giveSeen(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 50*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="seen.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	c := csv.NewWriter(w)
	_ = c.Write([]string{"written", "id", "kind", "station", "stream", "masked", "who", "roles", "remote", "why", "from", "to", "failed", "clip", "cause", "sha256", "bytes"})
	n, err := p.o.Diary.each(ctx, func(at time.Time, e Entry) error {
		to, masked := "", ""
		if !e.To.IsZero() {
			to = e.To.Format(time.RFC3339)
		}
		if e.Masked {
			masked = "masked"
		}
		return c.Write([]string{at.Format(time.RFC3339), e.ID, e.Kind, string(e.Station), e.Stream, masked, cell(e.Who), strings.Join(e.Roles, " "), e.Remote, cell(e.Why), e.From.Format(time.RFC3339), to, e.Failed.In(langOf(r)), e.Clip, cell(e.Cause), e.SHA256, bytesOf(e.Bytes)})
	})
	if err != nil {
		// The table is not whole, and says so.
		_ = c.Write([]string{phrase.In(phrase.Wrap(err, "pictures.export"), langOf(r))})
		p.o.Log.Warn("who saw what could not be given whole", "lines", n, "err", err)
	}
	c.Flush()
}

func bytesOf(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// each gives what the store holds now, in order.
func (d *Diary) each(ctx context.Context, give func(time.Time, Entry) error) (n int, err error) {
	s, err := d.js.Stream(ctx, engine.StreamSeen)
	if err != nil {
		return 0, err
	}
	i, err := s.Info(ctx)
	if err != nil || i.State.Msgs == 0 {
		return 0, err
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return 0, err
	}
	it, err := c.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return 0, err
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		m, err := it.Next()
		if err != nil {
			return n, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return n, err
		}
		var e Entry
		if json.Unmarshal(m.Data(), &e) == nil {
			if err := give(meta.Timestamp.UTC(), e); err != nil {
				return n, err
			}
			n++
		}
		if meta.Sequence.Stream >= i.State.LastSeq {
			return n, nil
		}
	}
}
