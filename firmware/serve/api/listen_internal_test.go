package api

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"tocsin/firmware/serve/access"
)

func TestOnlyRootAndTheServiceItselfHaveRightsOnTheSocket(t *testing.T) {
	for _, c := range []struct {
		peer unix.Ucred
		want access.Role
	}{
		{unix.Ucred{Uid: 0, Gid: 0}, access.Owner},
		{unix.Ucred{Uid: 991, Gid: 991}, access.Owner},
		{unix.Ucred{Uid: 1000, Gid: 991}, access.Owner},
		{unix.Ucred{Uid: 1000, Gid: 1000}, access.Nobody},
		{unix.Ucred{Uid: 65534, Gid: 65534}, access.Nobody},
	} {
		if got := roleOf(&c.peer, 991, 991); got != c.want {
			t.Errorf("%+v: %s", c.peer, got)
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if g := socketGrant(a); g.Role != access.Nobody {
		t.Errorf("what is no socket has the role %s", g.Role)
	}
}
