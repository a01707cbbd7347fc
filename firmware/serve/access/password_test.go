package access

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPasswordsThatAreTriedFirstAreRefused(t *testing.T) {
	for pw, want := range map[string]string{
		"":                           "access.password_short",
		"七个字太短了啊":                    "access.password_short",
		"一共八个汉字刚好":                   "<nil>",
		"12345678":                   "access.password_weak",
		"90123456":                   "access.password_weak",
		"87654321":                   "access.password_weak",
		"abcdefgh":                   "access.password_weak",
		"aaaaaaaaaa":                 "access.password_weak",
		"12121212":                   "access.password_weak",
		"abcabcabc":                  "access.password_weak",
		"PassW0rd":                   "access.password_weak",
		"１２３４５６７８":                   "access.password_weak",
		"woaini1314":                 "access.password_weak",
		"5201314520":                 "access.password_weak",
		"tocsin2026":                 "access.password_name",
		"chenzhiqiang":               "access.password_name",
		"chenzhiqiang123":            "access.password_name",
		"chenzhiqiang keeps the key": "<nil>",
		good:                         "<nil>",
		strings.Repeat("长", 129):     "access.password_long",
		strings.Repeat("長", 128):     "access.password_weak",
		"ends in \xff":               "access.password_long",
	} {
		if got := codeOf(fit(pw, "chenzhiqiang", "陈志强")); got != want {
			t.Errorf("%.24q: %s, want %s", pw, got, want)
		}
	}
	for w := range strings.Lines(weakList) {
		if p := strings.TrimSpace(w); len(p) < leastRunes || p != strings.ToLower(p) {
			t.Errorf("%q stands in the list for nothing", p)
		}
	}
}

func who(n byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 32) }

func TestOneHashAtATimeAndAddressesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hasher
		var at, most atomic.Int32
		freed := 0
		q.free = func() { freed++ }
		var order []byte
		done := make(chan struct{})
		enter := func(n byte) {
			if err := q.enter(context.Background(), who(n)); err != nil {
				t.Error(err)
			}
			most.Store(max(most.Load(), at.Add(1)))
			order = append(order, n)
			time.Sleep(time.Second)
			at.Add(-1)
			q.leave()
			done <- struct{}{}
		}
		for range mostOfOne + 1 {
			go enter(1)
			synctest.Wait()
		}
		go enter(2)
		synctest.Wait()
		if err := q.enter(t.Context(), who(1)); codeOf(err) != "access.busy" {
			t.Errorf("a crowd of one address: %v", err)
		}
		for range mostOfOne + 2 {
			<-done
		}
		if most.Load() != 1 || freed != 1 {
			t.Errorf("%d at once, memory given back %d times", most.Load(), freed)
		}
		if order[1] != 2 {
			t.Errorf("the other address waited behind the crowd: %v", order)
		}
	})
}

func TestAFullQueueMakesRoomForWhoWaitsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q hasher
		if err := q.enter(t.Context(), who(0)); err != nil {
			t.Fatal(err)
		}
		refused := make(chan error, mostWaiting)
		for i := range mostWaiting {
			go func() { refused <- q.enter(t.Context(), who(byte(1+i%(mostWaiting/mostOfOne)))) }()
			synctest.Wait()
		}
		got := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { got <- q.enter(ctx, who(99)) }()
		synctest.Wait()
		select {
		case err := <-refused:
			if codeOf(err) != "access.busy" {
				t.Error(err)
			}
		default:
			t.Error("nobody gave way")
		}
		cancel()
		if err := <-got; err != context.Canceled {
			t.Error(err)
		}
		for range mostWaiting {
			q.leave()
			synctest.Wait()
		}
		if q.busy || len(q.waiting) != 0 {
			t.Errorf("busy %v, %d wait", q.busy, len(q.waiting))
		}
	})
}

func FuzzHashes(f *testing.F) {
	f.Add(decoy.String())
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA")
	f.Add("$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err == nil && (h.String() != s || h.memory > hashMemory || h.passes > 4) {
			t.Errorf("%q reads as %s", s, h)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	var q hasher
	for b.Loop() {
		q.make(context.Background(), who(1), good)
	}
}
