package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tocsin/firmware/serve/api"
)

// changesKilled changes the site's document on trial and confirms it, kills the box at a
// random instant of one or the other, starts it again, and counts: boxes that are not
// reached any more, files that are neither the document before nor the one after,
// revisions and confirmations that were acknowledged and are gone, and documents that
// nobody confirmed and that stayed.
func changesKilled(b *bench) error {
	p, err := b.plant()
	if err != nil {
		return err
	}
	defer p.Close()
	data := filepath.Join(b.dir, "data")
	x, err := b.startArmed(p.file, data)
	if err != nil {
		return err
	}
	defer func() { x.end() }()
	r := b.rng()
	bad, n := 0, b.n(20, 200)
	kept := map[int]string{} // acknowledged
	took := [2]time.Duration{200 * time.Millisecond, 50 * time.Millisecond}
	inTrial, inConfirm, acked, confirmed := 0, 0, 0, 0
	for i := range n {
		var now api.RevisionText
		if err := x.get("/config/revisions/0", &now); err != nil {
			return err
		}
		kept[now.Number] = now.Document
		next := strings.TrimRight(now.Document, "\n") + fmt.Sprintf("\n# round %d\n", i)
		session := fmt.Sprintf("round-%d", i)
		var tried api.Revision
		step := i % 2                                // 0: killed in the change, 1: in its confirmation
		begin := func(within time.Duration) func() { // kills after a random time
			done := make(chan struct{})
			d := time.Duration(r.Int64N(int64(within)))
			go func() { time.Sleep(d); x.kill(syscall.SIGKILL); close(done) }()
			return func() { <-done }
		}
		wait := func() {}
		began := time.Now()
		if step == 0 {
			wait = begin(took[0] + took[0]/4)
		}
		proposed := x.post("/config", api.Proposal{Base: now.Number, Document: next, Who: "bench", Why: "a round", Session: session, Within: 5 * time.Minute}, &tried) == nil
		if proposed {
			took[0] = time.Since(began)
			kept[tried.Number] = next
			acked++
		}
		sure := false
		if step == 1 {
			if !proposed {
				return fmt.Errorf("the box refused a change: %s", x.tail(3))
			}
			if err := x.runsWith(tried.Number); err != nil {
				return err
			}
			began = time.Now()
			wait = begin(took[1] + took[1]/2)
			sure = x.post(fmt.Sprintf("/config/revisions/%d/confirm", tried.Number), map[string]string{"who": "bench", "session": session}, nil) == nil
			if sure {
				took[1] = max(time.Since(began), 2*time.Millisecond)
				confirmed++
			} else {
				inConfirm++
			}
		} else if !proposed {
			inTrial++
		}
		wait()
		<-x.done
		file, err := os.ReadFile(p.file)
		if err != nil || string(file) != now.Document && string(file) != next {
			b.log("round %d: the file is neither: %v, %d bytes", i, err, len(file))
			bad++
		}
		x.end()
		if x, err = b.startArmed(p.file, data); err != nil {
			b.log("round %d: not reached any more: %v", i, err)
			return fmt.Errorf("round %d: %w", i, err)
		}
		var after api.RevisionText
		if err := x.get("/config/revisions/0", &after); err != nil {
			return err
		}
		unsure := step == 1 // a confirmation in flight may have been kept
		switch {
		case sure && after.Document != next:
			b.log("round %d: what was confirmed is gone", i)
			bad++
		case !sure && !unsure && after.Document != now.Document:
			b.log("round %d: what nobody confirmed stayed", i)
			bad++
		case after.Document != now.Document && after.Document != next:
			b.log("round %d: neither is in force", i)
			bad++
		}
		for number, text := range kept {
			if number < now.Number-8 {
				delete(kept, number)
				continue
			}
			var k api.RevisionText
			if err := x.get(fmt.Sprintf("/config/revisions/%d", number), &k); err != nil || k.Document != text {
				b.log("round %d: revision %d was acknowledged and is not as it was: %v", i, number, err)
				bad++
			}
		}
	}
	b.log("%d rounds: %d killed before a change was acknowledged, %d before a confirmation was; %d changes and %d confirmations were acknowledged", n, inTrial, inConfirm, acked, confirmed)
	b.tell("page.config_lost", float64(bad), n)
	return nil
}

// runsWith waits until the box runs with a revision on trial: before that it takes no confirmation,
// and after it only one with the right word.
func (x *box) runsWith(number int) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := x.post(fmt.Sprintf("/config/revisions/%d/confirm", number), map[string]string{"who": "bench", "session": "not the word"}, nil)
		switch {
		case err != nil && strings.Contains(err.Error(), "revision.session"):
			return nil
		case err == nil || !strings.Contains(err.Error(), "revision.early") || time.Now().After(end):
			return fmt.Errorf("the box does not run with revision %d: %v", number, err)
		}
	}
}
