package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// trace remembers the last frames of a line, so that a slow crossing can be
// explained.
type trace struct {
	mu     sync.Mutex
	frames []frame
}

type frame struct {
	at     time.Time
	answer bool
	unit   byte
	pdu    string
}

const framesKept = 512

func watch(l *line.Line) *trace {
	t := &trace{}
	note := func(answer bool) line.Hook {
		return func(unit byte, pdu []byte, at time.Time) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.frames = append(t.frames, frame{at, answer, unit, fmt.Sprintf("% X", pdu)})
			if len(t.frames) > framesKept {
				t.frames = append(t.frames[:0], t.frames[framesKept/2:]...)
			}
		}
	}
	l.OnRequest(note(false))
	l.OnAnswer(note(true))
	return t
}

// between tells the frames from t0 to t1 with their last bits' times after t0.
func (t *trace) between(t0, t1 time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var s []string
	for _, f := range t.frames {
		if f.at.After(t0.Add(-50*time.Millisecond)) && f.at.Before(t1.Add(20*time.Millisecond)) {
			s = append(s, fmt.Sprintf("%+.1f %s%d [%s]", ms(f.at.Sub(t0)), choose(f.answer, "<", ">"), f.unit, f.pdu))
		}
	}
	return strings.Join(s, "  ")
}
