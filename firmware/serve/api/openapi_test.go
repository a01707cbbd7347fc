package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

type operation struct {
	method, path string
	ID           string `json:"operationId"`
	Role         string `json:"x-role"`
	Token        bool   `json:"x-stop-token"`
	Body         any    `json:"requestBody"`
}

// operations reads the operations off the document that is served, so that one
// which is added without a thought is tested all the same.
func operations(t *testing.T) []operation {
	t.Helper()
	b, err := api.OpenAPI("test")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var l []operation
	for p, ms := range doc.Paths {
		for m, op := range ms {
			op.method, op.path = strings.ToUpper(m), p
			l = append(l, op)
		}
	}
	if len(l) < 14 {
		t.Fatalf("only %d operations in the document", len(l))
	}
	return l
}

// bodies are right bodies of the operations that take one.
var bodies = apitest.Bodies

func call(h http.Handler, g access.Grant, op operation, body, token string) *httptest.ResponseRecorder {
	rd := strings.NewReader(body)
	r := httptest.NewRequest(op.method, "http://192.168.1.5"+strings.NewReplacer("{id}", "a-1", "{number}", "1").Replace(op.path), rd)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	ctx, cancel := shortContext(r.Context())
	defer cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(api.WithGrant(ctx, g)))
	return w
}

func TestEveryOperationIsHeldToItsRole(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	s := newServer(t, box, api.Opts{Token: verifier("GOOD")})
	h := s.Handler()
	writes := map[string]bool{}
	for _, op := range operations(t) {
		need, err := access.ParseRole(op.Role)
		if err != nil || need == access.Nobody {
			t.Errorf("%s declares no role", op.ID)
			continue
		}
		if op.method != http.MethodGet {
			writes[op.ID] = true
			if need < access.Cadre {
				t.Errorf("%s changes something and asks for %s only", op.ID, need)
			}
			if bodies[op.ID] == "" {
				t.Errorf("%s: the test has no body for it", op.ID)
			}
		}
		for _, via := range []string{api.ViaPage, api.ViaSocket} {
			for _, role := range access.Roles {
				for _, token := range []string{"", "WRONG", "GOOD"} {
					g := access.Grant{Role: role, Via: via, Addr: "192.168.1.77"}
					before := len(box.Acts())
					w := call(h, g, op, bodies[op.ID], token)
					may := role >= need || op.Token && (role >= access.Viewer || via == api.ViaPage) && token == "GOOD"
					refused := w.Code == http.StatusForbidden || w.Code == http.StatusUnauthorized
					if may == refused || may && w.Code >= 400 {
						t.Errorf("%s as %s by %s with token %q: %d %s", op.ID, role, via, token, w.Code, w.Body)
					}
					if acted := len(box.Acts()) > before; acted != (may && op.method != http.MethodGet) {
						t.Errorf("%s as %s with token %q: the box acted: %v", op.ID, role, token, acted)
					}
				}
			}
		}
	}
	for _, id := range []string{"stop", "acknowledge", "release", "raise", "set", "scan"} {
		if !writes[id] {
			t.Errorf("%s is not in the document", id)
		}
	}
}

func TestTheTokenOpensNothingButStop(t *testing.T) {
	for _, op := range operations(t) {
		if op.Token != (op.ID == "stop") {
			t.Errorf("%s: token %v", op.ID, op.Token)
		}
	}
}

func TestWhatIsOutsideTheDocumentIsRefusedToNobody(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{Pages: onePage()}).Handler()
	for _, p := range []string{"/", "/metrics", "/api/v1/openapi.json", "/api/v1/openapi.yaml", "/api/v1/nothing"} {
		if w := call(h, access.Grant{}, operation{method: "GET", path: p}, "", ""); w.Code != http.StatusForbidden {
			t.Errorf("%s as nobody: %d", p, w.Code)
		}
	}
}

func TestTheDocumentIsServedAndTheSameEachTime(t *testing.T) {
	a, err := api.OpenAPI("1")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := api.OpenAPI("1")
	if !bytes.Equal(a, b) {
		t.Error("the document differs from one writing to the next")
	}
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{}).Handler()
	w := call(h, access.Grant{Role: access.Viewer, Via: api.ViaPage}, operation{method: "GET", path: "/api/v1/openapi.json"}, "", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"x-role":"operator"`) {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
	if !strings.Contains(string(a), `"Problem"`) {
		t.Error("the document does not describe refusals")
	}
	var served, written any
	if json.Unmarshal(w.Body.Bytes(), &served) != nil || json.Unmarshal(a, &written) != nil {
		t.Fatal("no JSON")
	}
	for _, x := range []any{served, written} {
		delete(x.(map[string]any)["info"].(map[string]any), "version")
	}
	if !reflect.DeepEqual(served, written) {
		t.Error("what is served is not what is written: the box forgot some of it first")
	}
	w = call(h, access.Grant{Role: access.Viewer, Via: api.ViaPage}, operation{method: "GET", path: "/api/v1/openapi.yaml"}, "", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "x-role: operator") {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
}

func onePage() *api.Routes {
	r := api.NewRoutes()
	r.Handle(access.Viewer, "/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("page")) })
	return r
}
