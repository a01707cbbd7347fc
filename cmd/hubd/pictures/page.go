package pictures

import (
	_ "embed"
	"net/http"
	"strings"

	"tocsin/firmware/phrase"
)

//go:embed voice.js
var voiceScript string

// Page is the handler of what lies below /pictures/: their state, WHEP, clips and talk. The county's console shows them;
// who comes here was let in by it.
func (p *Pictures) Page() http.Handler {
	mux := http.NewServeMux()
	// Where the page was before there was a console.
	mux.HandleFunc("GET /pictures/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/console/#/live", http.StatusSeeOther)
	})
	// A worklet is loaded by its address alone.
	mux.HandleFunc("GET /pictures/voice.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write([]byte(voiceScript))
	})
	mux.HandleFunc("POST /pictures/clip", p.beginFilm)
	mux.HandleFunc("GET /pictures/film/{id}/film.mp4", p.giveFilm)
	mux.HandleFunc("GET /pictures/film/{id}/clip.mp4", p.giveClip)
	mux.HandleFunc("POST /pictures/film/{id}", p.keepFilm)
	mux.HandleFunc("DELETE /pictures/film/{id}", p.endFilm)
	mux.HandleFunc("GET /pictures/state", p.giveState)
	mux.HandleFunc("GET /pictures/ice", p.giveICE)
	mux.HandleFunc("GET /pictures/seen.csv", p.giveSeen)
	mux.HandleFunc("GET /pictures/still/{station}/{stream}", p.giveStill)
	mux.HandleFunc("POST /pictures/whep/{station}/{stream}", p.takeView)
	mux.HandleFunc("DELETE /pictures/call/{id}", p.endView)
	mux.HandleFunc("POST /pictures/talk/{station}", p.beginTalk)
	mux.HandleFunc("POST /pictures/voice/{id}", p.pieceOfTalk)
	mux.HandleFunc("DELETE /pictures/voice/{id}", p.endTalk)
	// A browser sends an officer's sign-in along with what another site makes it ask for.
	own := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if err := own.Check(r); err != nil {
			fail(w, http.StatusForbidden, phrase.E("pictures.other_site"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// langOf takes ?lang=, then English where the browser wants it before Chinese.
func langOf(r *http.Request) phrase.Lang {
	switch r.URL.Query().Get("lang") {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	want := strings.ToLower(r.Header.Get("Accept-Language"))
	zh, en := strings.Index(want, "zh"), strings.Index(want, "en")
	if en >= 0 && (zh < 0 || en < zh) {
		return phrase.EN
	}
	return phrase.ZH
}
