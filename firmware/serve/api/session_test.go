package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

func TestWhoIsSignedInActsInTheirOwnNameWhateverTheySay(t *testing.T) {
	chen := access.Grant{Role: access.Operator, Via: api.ViaPage, Addr: "192.168.1.77", Account: "chen", Name: "陈志强", Session: "s1"}
	nameless := chen
	nameless.Name = ""
	for given, c := range map[string]struct {
		g    access.Grant
		body string
		want string
	}{
		"another name":          {chen, `{"who":"李雷"}`, "陈志强"},
		"none":                  {chen, `{}`, "陈志强"},
		"of a nameless":         {nameless, `{"who":"李雷"}`, "chen"},
		"nobody is signed in":   {owner, `{"who":"李雷"}`, "李雷"},
		"a name full of tricks": {access.Grant{Role: access.Operator, Via: api.ViaPage, Account: "x", Name: "a\u202eb\n"}, `{}`, "ab"},
	} {
		box := apitest.New(apitest.Alarm)
		w := call(newServer(t, box, api.Opts{}).Handler(), c.g, operation{method: "POST", path: "/api/v1/stop"}, c.body, "")
		if acts := box.Acts(); w.Code != 200 || len(acts) != 1 || acts[0].Who.Name != c.want {
			t.Errorf("%s: %d %v, want %s", given, w.Code, acts, c.want)
		}
	}
}

func TestTheSessionSaysWhoCalls(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{}).Handler()
	for _, g := range []access.Grant{viewer, {Role: access.Cadre, Via: api.ViaPage, Account: "chen", Name: "陈志强", Session: "s1", IdleLeft: 9 * time.Minute}} {
		w := call(h, g, operation{method: "GET", path: "/api/v1/session"}, "", "")
		var got api.Session
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got != (api.Session{Account: g.Account, Name: g.Name, Role: g.Role, Via: g.Via, IdleLeft: g.IdleLeft}) {
			t.Errorf("%s: %v", w.Body, err)
		}
	}
}
