package main

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"time"
)

// Codes of linux/input-event-codes.h that a board's button has.
const (
	eventKey   = 1
	keyPower   = 116
	keyRestart = 0x198
)

// readButton follows one input device. An event has two long words of time, then type,
// code and value (linux/input.h).
func (b *board) readButton(ctx context.Context, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.say("button %s: %v", path, err)
		return
	}
	defer f.Close()
	word := strconv.IntSize / 8
	ev := make([]byte, 2*word+8)
	var down time.Time
	for ctx.Err() == nil {
		if _, err := io.ReadFull(f, ev); err != nil {
			return
		}
		e := ev[2*word:]
		if binary.LittleEndian.Uint16(e) != eventKey {
			continue
		}
		if c := binary.LittleEndian.Uint16(e[2:]); c != keyPower && c != keyRestart {
			continue
		}
		switch v := int32(binary.LittleEndian.Uint32(e[4:])); {
		case v == 1:
			down = time.Now()
		case v == 0 && !down.IsZero():
			b.pressed(time.Since(down))
			down = time.Time{}
		}
	}
}

// pressed acts on a press. A reset is only allowed by it: for five minutes who has the
// box's secret may ask for one (control.go), and nobody else, and nothing is reset by
// itself.
func (b *board) pressed(d time.Duration) {
	switch hold(d) {
	case "service":
		b.say("button: held for %s: service access point", d.Round(time.Second))
		b.net.service(serviceFor)
	case "reset":
		b.say("button: held for %s: whoever has the box's secret may reset it now", d.Round(time.Second))
		b.net.service(serviceFor)
		b.allowReset.Store(time.Now().Add(5 * time.Minute).UnixNano())
	default:
		b.say("button: a short press does nothing")
	}
}
