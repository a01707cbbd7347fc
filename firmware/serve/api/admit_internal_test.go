package api

import (
	"fmt"
	"testing"

	"tocsin/firmware/serve/access"
)

func TestACrowdThatListensKeepsNobodyOutWhoIsSignedIn(t *testing.T) {
	s, err := New(nil, Opts{Limits: Limits{Events: 4, EventsPerAddr: 2}})
	if err != nil {
		t.Fatal(err)
	}
	stranger := func(i int) access.Grant {
		return access.Grant{Role: access.Viewer, Via: ViaPage, Addr: fmt.Sprintf("192.168.1.%d", i)}
	}
	for i := range 4 {
		if _, ok := s.listening.take(stranger(i)); !ok {
			t.Fatalf("the listener %d has no place", i)
		}
	}
	if _, ok := s.listening.take(stranger(9)); ok {
		t.Error("there is no bound")
	}
	technician := access.Grant{Role: access.Technician, Via: ViaPage, Addr: "192.168.1.50", Account: "zhang", Session: "s"}
	leave, ok := s.listening.take(technician)
	if !ok {
		t.Fatal("a technician is kept out by strangers")
	}
	s.listening.take(technician)
	if _, ok := s.listening.take(technician); ok {
		t.Error("one machine has no bound")
	}
	leave()
	if _, ok := s.listening.take(technician); !ok {
		t.Error("the place is not given back")
	}
}

func TestAStrangerCannotTakeEveryPlace(t *testing.T) {
	s, err := New(nil, Opts{})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*places{"streams": s.streams, "sounds": s.sounds, "events": s.listening} {
		one := access.Grant{Role: access.Viewer, Via: ViaPage, Addr: "192.168.1.66"}
		n := 0
		for ; n < 1000; n++ {
			if _, ok := p.take(one); !ok {
				break
			}
		}
		if name != "sounds" && n >= p.most {
			t.Errorf("%s: one address has all %d", name, n)
		}
		for i := range 1000 {
			p.take(access.Grant{Role: access.Viewer, Via: ViaPage, Addr: fmt.Sprint("10.0.0.", i)})
		}
		if _, ok := p.take(access.Grant{Role: access.Viewer, Via: ViaPage, Addr: "10.9.9.9"}); ok {
			t.Errorf("%s have no bound", name)
		}
		if _, ok := p.take(access.Grant{Role: access.Cadre, Via: ViaPage, Addr: "10.9.9.9", Account: "chen", Session: "s"}); !ok {
			t.Errorf("%s: who is signed in has no place", name)
		}
	}
}
