//go:build peers

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/hwtest/beidou"
)

// TestAFullDiskAtTheHubIsNeverAcknowledged fills the hub's file system under it. Nothing that comes then is
// acknowledged; when there is room again, it goes on.
func TestAFullDiskAtTheHubIsNeverAcknowledged(t *testing.T) {
	w := newWorld(t)
	data := filepath.Join(w.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=24m"); err != nil {
		t.Skip("a small file system can be mounted by root alone:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(data, unix.MNT_DETACH) })
	sky := beidou.NewSky(5)
	sky.Set(beidou.Weather{Least: 10 * time.Millisecond, Most: 20 * time.Millisecond})
	hubPort := plug(t, sky.Terminal(beidou.BDS3, beidou.Card{Number: 247718, Frequency: 1, Level: 3}).Serve)
	boxPort := plug(t, sky.Terminal(beidou.BDS3, beidou.Card{Number: 123456, Frequency: 1, Level: 3}).Serve)
	w.narrow(fmt.Sprintf("  - {name: bd, kind: beidou, port: %s, own: \"247718\", transmit: {card: \"247718\", approval: X}}\n", hubPort), map[letter.Station]string{upper: `number: 17, addresses: {bd: "123456"}`})
	f, ps := hubfile.Load(w.file)
	if f == nil {
		t.Fatal(ps)
	}
	hubs := make(chan *hub, 8)
	run(t, func(ctx context.Context) error { return serve(ctx, f, time.UTC, quiet(), func(h *hub) { hubs <- h }) })
	h := <-hubs
	b := w.box(t, upper, hubfile.Terminal{Name: "x", Kind: hubfile.KindBeidou, Port: boxPort, Own: "123456", Transmit: &hubfile.Transmit{Card: "123456", Approval: "X"}}, "247718")
	until(t, "it may send", func() bool { return h.gate(t, "bd").Limits.Transmit })
	acked := map[string]bool{}
	seq := uint32(0)
	say := func() string {
		seq++
		n := wire.Name{Outbox: 9, Seq: seq}
		b.send(raised(t, n))
		return n.String()
	}
	hear := func() {
		select {
		case m := <-b.dev.Received():
			if r, err := b.end.Hear(within(10*time.Second), m.Bytes, m.From, 0); err == nil {
				for _, id := range r.Acked {
					acked[id] = true
				}
			}
		default:
		}
	}
	// After three the window has its places on the disk: what fails then is the store.
	for range 3 {
		id := say()
		until(t, "it is acknowledged", func() bool { hear(); return acked[id] })
	}

	// Something else fills the disk, to the last byte.
	core, err := os.Create(filepath.Join(data, "core"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1 << 20, 4096, 1} {
		for b := make([]byte, n); err == nil; _, err = core.Write(b) {
		}
		err = nil
	}
	core.Close()
	big := letter.Letter{ID: "big", Class: letter.Bulk, Link: "4g", Body: make([]byte, 64<<10)}
	if err := h.post.Up(within(10*time.Second), upper, &big); err == nil {
		t.Fatal("64 KiB were kept on a full disk")
	}
	lost := say()
	page := h.console.PageAddr().String()
	until(t, "the hub stops", func() bool {
		hear()
		c, err := net.Dial("tcp", page)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if acked[lost] {
		t.Error("acknowledged with a full disk")
	}
	if err := os.Remove(core.Name()); err != nil {
		t.Fatal(err)
	}
	select {
	case h = <-hubs:
	case <-time.After(40 * time.Second):
		t.Fatal("the hub did not start again")
	}
	until(t, "it may send again", func() bool { return h.gate(t, "bd").Limits.Transmit })
	start := time.Now()
	var again string
	until(t, "with room again, what is sent is kept and acknowledged", func() bool {
		if again == "" || time.Since(start) > 6*time.Second {
			again, start = say(), time.Now()
		}
		hear()
		return acked[again]
	})
	until(t, "all that was ever acknowledged is shown", func() bool {
		shown := map[string]bool{}
		for _, a := range h.book.State().Alarms {
			for _, m := range a.Messages {
				shown[m.Name.String()] = true
			}
		}
		for id := range acked {
			if !shown[id] {
				return false
			}
		}
		return len(acked) >= 4
	})
}
