package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// Route is one way in: an operation of the API, or a path that is none.
type Route struct {
	Method, Path string
	// ID is the operation's; "" for what is not of the API.
	ID string
	// Role is the least that may. Open is answered to whoever is not signed in, too.
	Role access.Role
	Open bool
	// Token: the stop token does in the role's place.
	Token bool
	// Plain is answered without TLS from afar, too: what helps where TLS fails.
	Plain bool
}

// Routes are the paths that are not of the API, each with the least role that may have
// it. What is not listed here is not served, and what is listed is tried as every role by
// apitest.Unheld.
type Routes struct {
	mux *http.ServeMux
	by  map[string]Route
	all []Route
}

// NewRoutes makes an empty list.
func NewRoutes() *Routes { return &Routes{mux: http.NewServeMux(), by: map[string]Route{}} }

// Handle serves a pattern of http.ServeMux, its method included, to whoever has at least
// the role need.
func (r *Routes) Handle(need access.Role, pattern string, h http.HandlerFunc) {
	r.add(pattern, Route{Role: need}, h)
}

// Open serves a pattern to everybody, without TLS too where plain.
func (r *Routes) Open(pattern string, plain bool, h http.HandlerFunc) {
	r.add(pattern, Route{Role: access.Nobody, Open: true, Plain: plain}, h)
}

func (r *Routes) add(pattern string, x Route, h http.HandlerFunc) {
	x.Method, x.Path, _ = strings.Cut(pattern, " ")
	if x.Path == "" {
		x.Method, x.Path = "", pattern
	}
	r.by[pattern] = x
	r.all = append(r.all, x)
	r.mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
		if g := GrantOf(q.Context()); !x.Open && !g.Role.Allows(x.Role) {
			turnAway(w, q, g)
			return
		}
		h(w, q)
	})
}

// All lists them in the order in which they were added.
func (r *Routes) All() []Route { return append([]Route(nil), r.all...) }

// of finds the route that answers a request.
func (r *Routes) of(q *http.Request) (Route, bool) {
	if r == nil {
		return Route{}, false
	}
	_, pattern := r.mux.Handler(q)
	x, ok := r.by[pattern]
	return x, ok
}

// ServeHTTP answers by the list.
func (r *Routes) ServeHTTP(w http.ResponseWriter, q *http.Request) { r.mux.ServeHTTP(w, q) }

// SignInPath is where somebody signs in who may not see a page without.
const SignInPath = "/sign-in"

// turnAway sends a person who is not signed in to where they can, and refuses the rest.
func turnAway(w http.ResponseWriter, r *http.Request, g access.Grant) {
	person := (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
	if g.Via == ViaPage && !g.SignedIn() && person {
		http.Redirect(w, r, SignInPath+"?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	m := phrase.M("serve.forbidden")
	if g.Role == access.Nobody {
		m = phrase.M("serve.nobody")
	}
	writeProblem(w, problem(http.StatusForbidden, m))
}

// ways lists the operations of a document.
func ways(d *huma.OpenAPI) (l []Route) {
	for path, item := range d.Paths {
		for method, op := range operationsOf(item) {
			x := Route{Method: method, Path: path, ID: op.OperationID}
			code, _ := op.Extensions[roleExt].(string)
			x.Role, _ = access.ParseRole(code)
			x.Token, _ = op.Extensions[tokenExt].(bool)
			l = append(l, x)
		}
	}
	return l
}

// Routes lists every way in, so that none is served that nobody has thought of.
func (s *Server) Routes() []Route {
	l := slices.Clone(s.ways)
	for _, p := range []string{"/metrics", prefix + "/openapi.json", prefix + "/openapi.yaml"} {
		l = append(l, Route{Method: http.MethodGet, Path: p, Role: access.Viewer})
	}
	if s.o.Video != nil {
		l = append(l, Route{Path: videoPrefix, Role: access.Viewer}, Route{Path: videoPrefix + "/x", Role: access.Viewer})
	}
	if s.o.Pages != nil {
		l = append(l, s.o.Pages.All()...)
	}
	return l
}
