package main

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	reach "tocsin/firmware/reach/network"
	edged "tocsin/firmware/update/board"
)

// asked is an init that answers on a socket as the board's does, by the same code.
func asked(t *testing.T, b *board) edged.Init {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.answerOn(c)
		}
	}()
	return edged.Init{Socket: path}
}

func TestWhatThePageSetsIsWhatTheBoardIsTold(t *testing.T) {
	b := &board{log: newRing(4000)}
	b.net = newNetwork(b, filepath.Join(t.TempDir(), "network.json"))
	ended := map[string]int{}
	for _, name := range []string{"eth0", "eth1", "wlan0", "eth0.7"} {
		b.net.runs[name] = func() { ended[name]++ }
	}
	init := asked(t, b)
	set := reach.Board{Set: func(m map[string]reach.Setting) error { return init.Network(m) }}
	want := map[string]reach.Setting{
		"eth0":   {Address: netip.MustParsePrefix("192.168.8.20/24"), Gateway: netip.MustParseAddr("192.168.8.1"), DNS: []netip.Addr{netip.MustParseAddr("223.5.5.5")}},
		"eth0.7": {DHCP: true, VLAN: 7},
		"wlan0":  {DHCP: true, WiFi: &reach.WiFi{SSID: "乡政府", Key: `a\b'c d%`}},
	}
	for name, s := range want {
		if err := s.Check(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Apply(want); err != nil {
		t.Fatal(err)
	}
	same := func(name string) {
		t.Helper()
		a, _ := json.Marshal(want[name])
		b, _ := json.Marshal(b.net.want[name])
		if string(a) != string(b) {
			t.Errorf("%s: %s became %s", name, a, b)
		}
	}
	for name := range want {
		same(name)
	}
	if ended["eth1"] != 0 || ended["eth0"] != 1 || ended["wlan0"] != 1 {
		t.Fatalf("begun anew: %v", ended)
	}
	// The next start of init has it before edged is there.
	if again := newNetwork(b, b.net.file); !reflect.DeepEqual(again.want, b.net.want) {
		t.Fatalf("%+v", again.want)
	}
	if st, err := os.Stat(b.net.file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatal("a file with a key in it is others' to read:", err)
	}
	// What stays as it is is not cut off; what is not named any more is the board's own again.
	b.net.runs["eth0"], b.net.runs["wlan0"] = func() { ended["eth0"]++ }, func() { ended["wlan0"]++ }
	delete(want, "wlan0")
	if err := set.Apply(want); err != nil {
		t.Fatal(err)
	}
	if ended["eth0"] != 1 || ended["wlan0"] != 2 || len(b.net.want) != 2 {
		t.Fatalf("%v %v", ended, b.net.want)
	}
	if err := set.Apply(nil); err != nil || len(b.net.want) != 0 || ended["eth0"] != 2 {
		t.Fatalf("%v %v %v", err, b.net.want, ended)
	}
	// Root holds to its own rule whatever it is asked.
	for name, s := range map[string]reach.Setting{"../x": {DHCP: true}, "lo": {DHCP: true}, "eth0": {}} {
		if err := set.Apply(map[string]reach.Setting{name: s}); err == nil {
			t.Error("taken:", name, s)
		}
	}
}

// Both ends say the same in the same words: a field that one has and the other has not is
// lost on the way.
func TestBothEndsOfTheSocketHaveTheSameWords(t *testing.T) {
	for name, pair := range map[string][2]reflect.Type{
		"setting": {reflect.TypeFor[reach.Setting](), reflect.TypeFor[setting]()},
		"wifi":    {reflect.TypeFor[reach.WiFi](), reflect.TypeFor[wifi]()},
		"data":    {reflect.TypeFor[edged.Data](), reflect.TypeFor[dataState]()},
	} {
		have := [2][]string{}
		for i, typ := range pair {
			for n := range typ.NumField() {
				if f := typ.Field(n); f.IsExported() {
					have[i] = append(have[i], f.Name)
				}
			}
		}
		if !reflect.DeepEqual(have[0], have[1]) {
			t.Errorf("%s: edged %v, init %v", name, have[0], have[1])
		}
	}
}
