package video

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"
	"tocsin/firmware/video/terms"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// controlMost bounds what the parent says at once, in bytes.
const controlMost = 256 << 10

// State is how things are now.
func (r *Relay) State() terms.State {
	now := r.mono()
	s := terms.State{Streams: []terms.StreamState{}, Viewers: []terms.Viewer{}, Faults: map[string]phrase.Message{}, Budget: r.budget.get()}
	r.mu.Lock()
	for k, v := range r.faults {
		s.Faults[k] = v
	}
	r.mu.Unlock()
	devices := r.devices()
	for _, name := range r.order {
		e := r.streams[name]
		st := e.stream.State()
		v := terms.StreamState{Name: name, From: st.From, Width: st.Picture.Width, Height: st.Picture.Height, FPS: st.FPS, Bitrate: st.Bitrate, Key: st.KeyEvery, Rung: st.Rung, Still: e.stream.Still().Number}
		if st.Picture.Codec != stream.None {
			v.Codec = st.Picture.Codec.String()
		}
		for _, n := range st.Notes {
			said := Said(n)
			v.Notes, v.Said = append(v.Notes, string(n)), append(v.Said, said)
			if v.Told == nil && (n == stream.Referenced || n == stream.Reordered || n == stream.NoKey || n == stream.AACDropped) {
				v.Told = &said
			}
		}
		if st.Sound != stream.None {
			v.Sound = st.Sound.String()
		}
		if st.Last > 0 {
			v.Age = now - st.Last
		}
		if e.puller != nil {
			if ps := e.puller.State(); !ps.Playing && !ps.Why.IsZero() {
				v.Why = &ps.Why
			}
		}
		r.mu.Lock()
		p, rec := r.pushes[name], e.rec
		r.mu.Unlock()
		if p != nil {
			d, ss := p.decision(), p.session.State()
			v.Push = &terms.PushState{Rung: int(d.Rung), Reason: d.Reason, Since: now - d.Since, Budget: d.Budget, Bitrate: ss.Bitrate, Estimate: ss.Estimate, Loss: ss.Loss, RTT: ss.RTT, Connected: ss.Connected}
		}
		if rec != nil {
			st := rec.State()
			v.Record = &st
		}
		if d := devices[name]; d != nil {
			v.Device = d
			if st.From == "" {
				v.Why = &d.Phase
			}
		}
		s.Streams = append(s.Streams, v)
	}
	s.Clips, s.Waiting, s.Sending = r.clipState()
	for _, v := range r.web.Sessions() {
		if v.Kind == whep.View {
			s.Viewers = append(s.Viewers, terms.Viewer{Stream: v.Stream, Name: v.Name, Remote: v.Remote, For: now - v.Since, Behind: v.Behind, Skipped: v.Skipped, LeftOut: v.LeftOut, Loss: v.Loss})
		}
	}
	r.tellPlatforms(&s)
	return s
}

// Handler is what the parent asks. Roles were checked there: it is reached by no one
// else.
func (r *Relay) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, r.State()) })
	m.HandleFunc("PUT /budget", func(w http.ResponseWriter, q *http.Request) {
		n, err := strconv.Atoi(q.URL.Query().Get("bits"))
		if err != nil || n < 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.budget.set(n)
	})
	m.HandleFunc("PUT /clock", func(w http.ResponseWriter, q *http.Request) {
		var now clock.Stamp
		d, ok := r.clock.(interface {
			Discipline(time.Time, clock.Trust) bool
		})
		if err := json.NewDecoder(io.LimitReader(q.Body, controlMost)).Decode(&now); err != nil || !ok || !d.Discipline(now.Wall, now.Trust) {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	m.HandleFunc("POST /view/{stream}", r.view)
	m.HandleFunc("POST /publish/{stream}", r.publish)
	m.HandleFunc("/session/{id}", func(w http.ResponseWriter, q *http.Request) { r.web.End(w, q, q.PathValue("id")) })
	m.HandleFunc("GET /still/{stream}", r.serveStill)
	m.HandleFunc("POST /push/{stream}", func(w http.ResponseWriter, q *http.Request) {
		var p terms.Push
		if err := json.NewDecoder(io.LimitReader(q.Body, controlMost)).Decode(&p); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		if err := r.Push(q.Context(), q.PathValue("stream"), p); err != nil {
			writeError(w, http.StatusBadGateway, err)
		}
	})
	m.HandleFunc("POST /bring", func(w http.ResponseWriter, q *http.Request) {
		var b terms.Bring
		if err := json.NewDecoder(io.LimitReader(q.Body, controlMost)).Decode(&b); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		if err := r.Bring(b); err != nil {
			writeError(w, http.StatusBadGateway, err)
		}
	})
	m.HandleFunc("DELETE /push/{stream}", func(w http.ResponseWriter, q *http.Request) { r.Stop(q.PathValue("stream")) })
	m.HandleFunc("GET /shown", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, r.takeShown()) })
	r.records(m)
	return m
}

func (r *Relay) view(w http.ResponseWriter, q *http.Request) {
	offer, err := whep.Offer(q)
	var answer string
	var v *whep.Session
	if err == nil {
		e := r.streams[q.PathValue("stream")]
		if e == nil {
			err = phrase.Wrap(whep.ErrNoPicture, "video.unknown", "stream", q.PathValue("stream"))
		} else {
			answer, v, err = r.web.View(q.Context(), whep.ViewRequest{Stream: e.stream, Offer: offer, Name: q.URL.Query().Get("who")})
		}
	}
	whep.Answer(w, answer, v, "/api/v1/video/sessions", err)
}

// publish is WHIP for drones and docks: the bearer's token is the stream's key.
func (r *Relay) publish(w http.ResponseWriter, q *http.Request) {
	offer, err := whep.Offer(q)
	var answer string
	var v *whep.Session
	if err == nil {
		remote, _ := netip.ParseAddrPort(q.Header.Get("Tocsin-Remote"))
		answer, v, err = r.web.Publish(q.Context(), offer, remote.String(), func() (*stream.Writer, error) {
			return r.desk.Publish(source.Asker{Way: "whip", Stream: q.PathValue("stream"), Key: q.Header.Get("Tocsin-Key"), Remote: remote})
		})
	}
	whep.Answer(w, answer, v, "/api/v1/video/sessions", err)
}

func (r *Relay) serveStill(w http.ResponseWriter, q *http.Request) {
	e := r.streams[q.PathValue("stream")]
	if e == nil {
		writeError(w, http.StatusNotFound, phrase.E("video.unknown", "stream", q.PathValue("stream")))
		return
	}
	jpeg, err := r.makeStill(q.Context(), e, 640, 360)
	if err != nil {
		writeError(w, http.StatusNotFound, phrase.Wrap(err, "video.no_still", "stream", e.plan.Name))
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(jpeg)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// refusal is an error between child and parent.
type refusal struct {
	Message phrase.Message `json:"message"`
}

func writeError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(refusal{phrase.Of(err)})
}

func poolOf(pem string) (*tls.Config, error) {
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(pem)) {
		return nil, phrase.E("video.ca")
	}
	return &tls.Config{RootCAs: p, MinVersion: tls.VersionTLS12}, nil
}
