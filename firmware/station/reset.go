package station

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/secret"
	"tocsin/firmware/update/board"
)

// A factory reset is for who stands at the box: its button is held for ten seconds, which init
// sees, and the box's own secret is given, which is printed inside it and is the key of its
// access point. Neither alone does anything. What the box keeps is set aside, not destroyed:
// site, journal, accounts and with them its identity and keys, so that the county sees a new box
// until somebody puts them back. Init does it, and has its own say.

const (
	accessFile = "access-point.json" // written by the board's init
	accessMost = 4096
	// resetTries in resetWindow may be wrong.
	resetTries  = 5
	resetWindow = 15 * time.Minute
)

// resets count secrets that were wrong.
type resets struct {
	mu    sync.Mutex
	wrong []time.Duration
}

// room tells whether another may be tried.
func (r *resets) room(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.wrong[:0]
	for _, t := range r.wrong {
		if now-t < resetWindow {
			kept = append(kept, t)
		}
	}
	r.wrong = kept
	return len(r.wrong) < resetTries
}

func (r *resets) failed(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, now)
}

var _ api.Resettable = (*House)(nil)

// ResetLeft is for how long the button allows a reset; 0 for not.
func (h *House) ResetLeft() time.Duration {
	s := initSocket()
	if s == "" {
		return 0
	}
	st, err := (board.Init{Socket: s}).Status()
	if err != nil || st.ResetUntil.IsZero() {
		return 0
	}
	return max(0, time.Until(st.ResetUntil))
}

// FactoryReset sets all aside that the box keeps, and starts it anew.
func (h *House) FactoryReset(given string, who api.Who) error {
	if initSocket() == "" {
		return phrase.E("reset.none_here")
	}
	if h.barred() != nil {
		return phrase.E("reset.level")
	}
	if h.ResetLeft() == 0 {
		return phrase.E("reset.button")
	}
	now := clock.Mono()
	if !h.resets.room(now) {
		return phrase.E("reset.wait", "minutes", int(resetWindow/time.Minute))
	}
	b, err := secret.Read(filepath.Join(h.o.Data, accessFile), accessMost)
	var label struct {
		Key string `json:"key"`
	}
	if err == nil {
		err = json.Unmarshal(b, &label)
	}
	if err != nil || label.Key == "" {
		return phrase.E("reset.no_secret")
	}
	if !sameSecret(given, label.Key) {
		h.resets.failed(now)
		h.write(journal.Record{Kind: "system.reset_refused", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: phrase.M("reset.told_wrong", "who", who.Name)}, nil)
		return phrase.E("reset.wrong")
	}
	h.tellCounty("system.reset", phrase.M("reset.told", "who", who.Name), nil)
	h.guard.Go("station", "reset", guard.Once, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(answerFirst):
		}
		if err := (board.Init{Socket: initSocket()}).Reset(who.Name); err != nil {
			h.setFault("reset", phrase.M("reset.failed", "err", err))
		}
		return nil
	})
	return nil
}

// sameSecret compares what was typed with what is printed: blanks and dashes are the typist's.
func sameSecret(given, key string) bool {
	plain := strings.NewReplacer(" ", "", "-", "").Replace
	return subtle.ConstantTimeCompare([]byte(plain(strings.TrimSpace(given))), []byte(plain(key))) == 1
}
