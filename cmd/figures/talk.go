package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"
)

// talkDelays measures from a person's mouth to the loudspeaker: a word is given as a microphone
// gives it, in pieces of 20 ms when their last sample has been spoken, over the box's socket,
// as one body; the ear tells when its first sample is heard. What the county's link
// adds is that link's own.
func talkDelays(b *bench) error {
	v, err := b.village(wired{speaker: true})
	if err != nil {
		return err
	}
	defer v.Close()
	x, err := v.begin()
	if err != nil {
		return err
	}
	defer x.end()
	const (
		each = 1500 * time.Millisecond // from word to word
		word = 300 * time.Millisecond
	)
	n, per := b.n(30, 200), 60 // so many words an order
	var all []float64
	unheard := 0
	for len(all) < n {
		var t struct {
			ID, State string
		}
		if err := x.post("/talk", map[string]any{"who": "台架", "seconds": 120, "codec": "s16le", "rate": 8000}, &t); err != nil {
			return err
		}
		if t.ID == "" {
			return fmt.Errorf("the box lets nobody speak")
		}
		began := time.Now().Add(each)
		words := min(per, n-len(all))
		r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, "http://box/api/v1/talk/"+t.ID+"/voice", &mouth{ctx: b.ctx, began: began, end: began.Add(time.Duration(words) * each), each: each, word: word})
		if err != nil {
			return err
		}
		said := make(chan error, 1)
		go func() {
			resp, err := x.http.Do(r)
			if err == nil {
				err = json.NewDecoder(resp.Body).Decode(&struct{}{})
				resp.Body.Close()
			}
			said <- err
		}()
		for w := range words {
			spoken := began.Add(time.Duration(w) * each)
			ctx, cancel := context.WithDeadline(b.ctx, spoken.Add(each))
			heard, err := v.ear.WaitAbove(ctx, spoken, audible)
			cancel()
			if err != nil && b.ctx.Err() == nil {
				// A box that gets no processor leaves out what would sound too late.
				if unheard++; unheard > n/4 {
					var how json.RawMessage
					_ = x.get("/talk/"+t.ID, &how)
					return fmt.Errorf("%d words were not heard: %s", unheard, how)
				}
				all = append(all, ms(each))
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, ms(heard.Sub(spoken)))
		}
		if err := <-said; err != nil {
			return err
		}
		if err := x.post("/talk/"+t.ID+"/end", map[string]any{}, &t); err != nil {
			return err
		}
		if err := b.until("the talk is over", 10*time.Second, func() bool { return x.get("/talk/"+t.ID, &t) == nil && t.State == "ended" }); err != nil {
			return err
		}
	}
	b.tellWhy("video.talk_delay_ms_p99", p99(all), len(all), fmt.Sprintf("half of them within %.0f ms, %d not at all; 20 ms are the microphone's own, 120 are held against jitter, the card holds 100", rank(all, 0.5), unheard))
	return nil
}

// mouth says a word each so often, as 16 bits at 8 kHz, no sooner than it is spoken.
type mouth struct {
	ctx              context.Context
	began, end       time.Time
	each, word, said time.Duration
}

// Read waits for the next 20 ms.
func (m *mouth) Read(p []byte) (int, error) {
	const piece = 20 * time.Millisecond
	if !m.began.Add(m.said).Before(m.end) {
		return 0, io.EOF
	}
	select {
	case <-m.ctx.Done():
		return 0, m.ctx.Err()
	case <-time.After(time.Until(m.began.Add(m.said + piece))):
	}
	n := 0
	for ; n < 160 && 2*n+1 < len(p); n++ {
		at := m.said + time.Duration(n)*time.Second/8000
		s := int16(0)
		if at%m.each < m.word {
			s = int16(8000 * math.Sin(2*math.Pi*700*at.Seconds()))
		}
		p[2*n], p[2*n+1] = byte(s), byte(uint16(s)>>8)
	}
	m.said += time.Duration(n) * time.Second / 8000
	return 2 * n, nil
}
