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
		if _, ok := s.admit(stranger(i)); !ok {
			t.Fatalf("the listener %d has no place", i)
		}
	}
	if _, ok := s.admit(stranger(9)); ok {
		t.Error("there is no bound")
	}
	technician := access.Grant{Role: access.Technician, Via: ViaPage, Addr: "192.168.1.50", Account: "zhang", Session: "s"}
	leave, ok := s.admit(technician)
	if !ok {
		t.Fatal("a technician is kept out by strangers")
	}
	s.admit(technician)
	if _, ok := s.admit(technician); ok {
		t.Error("one machine has no bound")
	}
	leave()
	if _, ok := s.admit(technician); !ok {
		t.Error("the place is not given back")
	}
}
