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

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/recorder"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// controlMost bounds what the parent says at once, in bytes.
const controlMost = 256 << 10

// State is what the child tells of itself.
type State struct {
	Streams []StreamState             `json:"streams"`
	Viewers []Viewer                  `json:"viewers"`
	Faults  map[string]phrase.Message `json:"faults,omitempty"`
	// Budget is what the links bear for pictures as the parent said, bit/s; 0: no bound.
	Budget int `json:"budget"`
}

// StreamState is one stream for those who show it.
type StreamState struct {
	Name    string          `json:"name"`
	From    string          `json:"from,omitempty"` // who publishes; empty: nobody
	Codec   string          `json:"codec,omitempty"`
	Sound   string          `json:"sound,omitempty"`
	Width   int             `json:"width,omitempty"`
	Height  int             `json:"height,omitempty"`
	FPS     float64         `json:"fps,omitempty"`
	Bitrate int             `json:"bitrate,omitempty"`
	Key     time.Duration   `json:"key_every_ns,omitempty"`
	Age     time.Duration   `json:"age_ns,omitempty"` // of the newest picture
	Notes   []stream.Note   `json:"notes,omitempty"`
	Rung    int             `json:"rung"`
	Why     *phrase.Message `json:"why,omitempty"` // why the source's answer is not there
	// Push is how it goes to the county; nil where nobody there looks.
	Push *PushState `json:"push,omitempty"`
	// Record is how it is kept; nil where it is not.
	Record *recorder.State `json:"record,omitempty"`
	Still  uint64          `json:"still,omitempty"` // number of the latest still
}

// PushState is a stream on its way to the county.
type PushState struct {
	Rung      int            `json:"rung"`
	Reason    phrase.Message `json:"reason"`
	Since     time.Duration  `json:"since_ns"` // for how long
	Budget    int            `json:"budget"`
	Bitrate   int            `json:"bitrate"`
	Estimate  int            `json:"estimate"`
	Loss      float64        `json:"loss"`
	RTT       time.Duration  `json:"rtt_ns"`
	Connected bool           `json:"connected"`
}

// Viewer is one who watches on the box's own network.
type Viewer struct {
	Stream  string        `json:"stream"`
	Name    string        `json:"name"`
	Remote  string        `json:"remote"`
	For     time.Duration `json:"for_ns"`
	Behind  time.Duration `json:"behind_ns"`
	Skipped uint64        `json:"skipped"`
	LeftOut uint64        `json:"left_out"`
	Loss    float64       `json:"loss"`
}

// State is how things are now.
func (r *Relay) State() State {
	now := r.mono()
	s := State{Streams: []StreamState{}, Viewers: []Viewer{}, Faults: map[string]phrase.Message{}, Budget: r.budget.get()}
	r.mu.Lock()
	for k, v := range r.faults {
		s.Faults[k] = v
	}
	r.mu.Unlock()
	for _, name := range r.order {
		e := r.streams[name]
		st := e.stream.State()
		v := StreamState{Name: name, From: st.From, Width: st.Picture.Width, Height: st.Picture.Height, FPS: st.FPS, Bitrate: st.Bitrate, Key: st.KeyEvery, Notes: st.Notes, Rung: st.Rung, Still: e.stream.Still().Number}
		if st.Picture.Codec != stream.None {
			v.Codec = st.Picture.Codec.String()
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
			v.Push = &PushState{Rung: int(d.Rung), Reason: d.Reason, Since: now - d.Since, Budget: d.Budget, Bitrate: ss.Bitrate, Estimate: ss.Estimate, Loss: ss.Loss, RTT: ss.RTT, Connected: ss.Connected}
		}
		if rec != nil {
			st := rec.State()
			v.Record = &st
		}
		s.Streams = append(s.Streams, v)
	}
	for _, v := range r.web.Sessions() {
		if v.Kind == whep.View {
			s.Viewers = append(s.Viewers, Viewer{Stream: v.Stream, Name: v.Name, Remote: v.Remote, For: now - v.Since, Behind: v.Behind, Skipped: v.Skipped, LeftOut: v.LeftOut, Loss: v.Loss})
		}
	}
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
		var p Push
		if err := json.NewDecoder(io.LimitReader(q.Body, controlMost)).Decode(&p); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		if err := r.Push(q.Context(), q.PathValue("stream"), p); err != nil {
			writeError(w, http.StatusBadGateway, err)
		}
	})
	m.HandleFunc("DELETE /push/{stream}", func(w http.ResponseWriter, q *http.Request) { r.Stop(q.PathValue("stream")) })
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
