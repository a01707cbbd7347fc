package source

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

func TestOneStrangerCannotShutOthersOut(t *testing.T) {
	g := NewGate(3, 6)
	var out []string
	enter := func(addr, name string) *Pass {
		return g.Enter(netip.MustParseAddr(addr), func() { out = append(out, name) })
	}
	for i := range 5 {
		enter("192.0.2.1", fmt.Sprint("stranger", i))
	}
	if !slices.Equal(out, []string{"stranger0", "stranger1"}) {
		t.Fatalf("an address beyond its share displaced %v", out)
	}
	drone := enter("198.51.100.7", "drone")
	for i := range 50 {
		enter("192.0.2.1", fmt.Sprint("more", i))
	}
	if slices.Contains(out, "drone") {
		t.Fatal("another address was displaced by one that had its share")
	}
	drone.Leave()
	drone.Leave()
	if g.Waiting() != 3 {
		t.Fatalf("%d wait, want 3", g.Waiting())
	}
}

func TestWhoHasMostMakesRoom(t *testing.T) {
	g := NewGate(3, 4)
	var out []string
	enter := func(addr, name string) { g.Enter(netip.MustParseAddr(addr), func() { out = append(out, name) }) }
	enter("192.0.2.9", "a")
	enter("192.0.2.1", "s0")
	enter("192.0.2.1", "s1")
	enter("192.0.2.1", "s2")
	enter("192.0.2.8", "b") // full: s0 goes
	enter("192.0.2.7", "c") // full: s1 goes
	enter("192.0.2.6", "d") // one each: the longest waiting goes
	if !slices.Equal(out, []string{"s0", "s1", "a"}) {
		t.Fatalf("displaced %v", out)
	}
}

func TestAnIPv6HostIsItsNetwork(t *testing.T) {
	g := NewGate(1, 8)
	var out int
	for i := range 4 {
		g.Enter(netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1)), func() { out++ })
	}
	g.Enter(netip.MustParseAddr("2001:db8:0:1::1"), func() { out++ })
	g.Enter(netip.MustParseAddr("::ffff:192.0.2.1"), func() { out++ })
	g.Enter(netip.MustParseAddr("192.0.2.1"), func() { out++ })
	if out != 4 || g.Waiting() != 3 {
		t.Fatalf("%d displaced, %d wait; want 4 and 3", out, g.Waiting())
	}
}
