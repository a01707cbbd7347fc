package api_test

import (
	"testing"

	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

func TestActsOnAnAccountNameTheOneInThePath(t *testing.T) {
	for id, path := range map[string]string{
		"change-user": "/users/{id}", "set-password": "/users/{id}/password", "remove-user": "/users/{id}/remove", "end-sign-in": "/sign-ins/{id}/end",
	} {
		box := apitest.New(apitest.Calm)
		w := call(newServer(t, box, api.Opts{}).Handler(), owner, operation{method: "POST", path: "/api/v1" + path}, bodies[id], "")
		if acts := box.Acts(); len(acts) != 1 || acts[0].ID != "a-1" || acts[0].Who.Name != "李雷" {
			t.Errorf("%s: %d %v", id, w.Code, acts)
		}
	}
}

func TestEveryChangingActIsAuditedAndNoReading(t *testing.T) {
	var got []api.Audited
	h := newServer(t, apitest.New(apitest.Alarm), api.Opts{Token: verifier("GOOD"), Audit: func(a api.Audited) { got = append(got, a) }}).Handler()
	n := 0
	for _, op := range operations(t) {
		before := len(got)
		call(h, owner, op, bodies[op.ID], "")
		call(h, viewer, op, bodies[op.ID], "")
		if want := map[bool]int{true: 0, false: 2}[op.method == "GET"]; len(got)-before != want {
			t.Errorf("%s: %d entries", op.ID, len(got)-before)
		} else if want > 0 {
			n++
			if a := got[before]; a.Method != op.method || a.Status == 0 || a.Via != "socket" {
				t.Errorf("%s: %+v", op.ID, a)
			}
			if a := got[before+1]; a.Status < 400 || a.Addr != viewer.Addr {
				t.Errorf("%s refused: %+v", op.ID, a)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d", n)
	}
}
