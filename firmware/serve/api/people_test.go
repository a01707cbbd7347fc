package api_test

import (
	"strings"
	"testing"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

func TestNumbersAreShownToOperatorsOnly(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Alarm), api.Opts{}).Handler()
	for _, role := range access.Roles {
		if role == access.Nobody {
			continue
		}
		w := call(h, access.Grant{Role: role, Via: api.ViaPage}, operation{method: "GET", path: "/api/v1/people"}, "", "")
		if shown := strings.Contains(w.Body.String(), "13800000001"); w.Code != 200 || shown != role.Allows(access.Operator) || !strings.Contains(w.Body.String(), "confirmed") {
			t.Errorf("%s: %d, shown %v", role, w.Code, shown)
		}
	}
}
