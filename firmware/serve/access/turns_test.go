package access

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func crowdDoor(t *testing.T) *Door {
	d := door(t, t.TempDir())
	add(t, d, "chen", Owner)
	add(t, d, "li", Operator)
	// What is tried here is the line, thousands of times, and not the hash.
	d.edit(func(all []Account) ([]Account, error) {
		for i := range all {
			h := hash{8, 1, 1, make([]byte, saltLength), make([]byte, hashLength)}
			h.sum = h.of(good)
			all[i].hash = h
		}
		return all, nil
	})
	return d
}

// guess is a stranger who tries as fast as the box lets one address, n at once, until ctx ends.
func guess(ctx context.Context, d *Door, addr string, n int, tried *atomic.Int64, wg *sync.WaitGroup) {
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, err := d.SignIn(ctx, addr, "", "", "chen", "wrong")
				switch codeOf(err) {
				case "access.wrong":
					tried.Add(1)
				case "access.slow", "access.busy":
					time.Sleep(time.Second)
				}
			}
		})
	}
}

func TestGuessesOfOneAddressAreSerialHoweverManyComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crowdDoor(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var tried atomic.Int64
		var wg sync.WaitGroup
		guess(ctx, d, "10.0.0.9:1", 32, &tried, &wg)
		wg.Wait()
		// Five minutes at one in five seconds, and those that come before.
		if n := tried.Load(); n > 60+freeFailures+3 || n < 50 {
			t.Errorf("%d guesses in five minutes", n)
		}
	})
}

func TestGuessesAtOneAccountAreSlowFromAllAddressesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crowdDoor(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var tried atomic.Int64
		var wg sync.WaitGroup
		for i := range 254 {
			guess(ctx, d, fmt.Sprintf("10.0.0.%d:1", i+1), 1, &tried, &wg)
		}
		wg.Wait()
		if n := tried.Load(); n > 254+70 {
			t.Errorf("%d guesses in five minutes", n)
		}
	})
}

func TestTheRightPasswordGetsInWhileANetworkGuesses(t *testing.T) {
	for name, c := range map[string]struct {
		known, mistyped bool
		most            time.Duration
	}{
		"from a device that was here before": {known: true, most: time.Second},
		"from a device that is new":          {most: time.Second},
		"mistyped on a device that is known": {known: true, mistyped: true, most: time.Second},
		"mistyped on a device that is new":   {mistyped: true, most: 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := crowdDoor(t)
				const own = "10.9.9.9:1"
				if c.known {
					if _, err := d.SignIn(t.Context(), own, "", "", "chen", good); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				var tried atomic.Int64
				var wg sync.WaitGroup
				for i := range 254 {
					guess(ctx, d, fmt.Sprintf("10.0.0.%d:1", i+1), 2, &tried, &wg)
				}
				time.Sleep(time.Minute)
				began := time.Now()
				if c.mistyped {
					if _, err := d.SignIn(t.Context(), own, "", "", "chen", "worng"); codeOf(err) != "access.wrong" {
						t.Error(err)
					}
				}
				if _, err := d.SignIn(t.Context(), own, "", "", "chen", good); err != nil || time.Since(began) > c.most {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				if _, err := d.SignIn(t.Context(), "10.9.9.8:1", "", "", "li", good); err != nil {
					t.Error("another account:", err)
				}
				cancel()
				wg.Wait()
			})
		})
	}
}

func TestALineIsBoundedAndTellsWhoDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTurns()
		end, err := tn.enter(t.Context(), who(1), "chen", true) // and it takes for ever
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan string, 400)
		ctx, cancel := context.WithCancel(t.Context())
		in := func(m netip.Prefix) {
			go func() {
				end, err := tn.enter(ctx, m, "chen", true)
				if err == nil {
					end(true)
				}
				said <- codeOf(err)
			}()
			synctest.Wait()
		}
		for range mostOfOne + 3 {
			in(who(2))
		}
		for range 3 {
			if got := <-said; got != "access.slow" {
				t.Errorf("one too many of one machine: %s", got)
			}
		}
		for i := range mostWaiting {
			in(who(byte(10 + i)))
		}
		for range mostOfOne {
			if got := <-said; got != "access.busy" {
				t.Errorf("one too many of all: %s", got)
			}
		}
		// Somebody who has failed gives way to somebody who has not.
		tn.mu.Lock()
		tn.pairs.note(caller{who(12), "chen"}, false, time.Now(), false)
		tn.mu.Unlock()
		in(who(200))
		if got := <-said; got != "access.busy" || len(tn.waiting) != mostWaiting {
			t.Errorf("%s, %d wait", got, len(tn.waiting))
		}
		cancel()
		synctest.Wait()
		end(true)
		if len(tn.waiting) != 0 || tn.busy {
			t.Errorf("%d wait, busy %v, after all have left", len(tn.waiting), tn.busy)
		}
	})
}

func TestWhatIsRememberedOfGuessersIsBounded(t *testing.T) {
	tn := newTurns()
	bad := caller{who(7), "chen"}
	for range 20 {
		tn.pairs.note(bad, false, time.Now(), true)
		tn.machines.note(bad.addr, false, time.Now(), false)
	}
	for i := range 5000 {
		m := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)
		end, err := tn.enter(t.Context(), m, strings.Repeat("x", i%40), false)
		if err != nil {
			t.Fatal(err)
		}
		tn.ended(&attempt{at: caller{m, "x"}, name: "x"}, true) // only the memory is looked at
		_ = end
	}
	if len(tn.machines.of) > mostMachines || len(tn.pairs.of) > mostPairs || len(tn.accounts.of) > MostAccounts+strangeNames {
		t.Errorf("%d machines, %d pairs, %d accounts", len(tn.machines.of), len(tn.pairs.of), len(tn.accounts.of))
	}
	if tn.pairs.of[bad] == nil || tn.machines.of[bad.addr] == nil {
		t.Error("a crowd washes out who guessed most")
	}
}

func TestNamesThatNobodyHasTellNothing(t *testing.T) {
	tn := newTurns()
	for i := range 1000 {
		end, err := tn.enter(t.Context(), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), 32), fmt.Sprint("name", i), false)
		if err != nil {
			t.Fatal(err)
		}
		end(false)
	}
	if n := len(tn.accounts.of); n > strangeNames {
		t.Errorf("%d names that nobody has are kept", n)
	}
}
