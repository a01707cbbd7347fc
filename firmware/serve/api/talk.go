package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// TalkAsk asks to speak by the loudspeakers.
type TalkAsk struct {
	Who     string   `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Kind    string   `json:"kind,omitempty" enum:"real,drill,test" doc:"real by default; a drill or a test is told apart by words before it"`
	Level   string   `json:"level,omitempty" maxLength:"64" doc:"code of configs/levels.yaml; without one it is a notice"`
	Outputs []string `json:"outputs,omitempty" maxItems:"64"`
	Zones   []string `json:"zones,omitempty" maxItems:"64" doc:"without outputs and zones it is every loudspeaker"`
	Seconds int      `json:"seconds" minimum:"1" maximum:"3600" doc:"how long at the longest; the box's own bound holds"`
	Codec   string   `json:"codec" enum:"pcma,pcmu,s16le" doc:"G.711, or 16 bits little endian"`
	Rate    int      `json:"rate,omitempty" enum:"8000,16000" doc:"of s16le; G.711 has 8000"`
}

// Talk is one person's talk.
type Talk struct {
	ID    string `json:"id"`
	Cause string `json:"cause"`
	Kind  string `json:"kind"`
	// State: waiting (not yet: the box says first that it is a drill), ready, speaking, ended.
	State     string    `json:"state"`
	Level     string    `json:"level,omitempty"`
	LevelText Text      `json:"level_text"`
	Who       Who       `json:"who"`
	Opened    time.Time `json:"opened"`
	// Left is how many seconds it may still last.
	Left    float64 `json:"left"`
	Outputs []Text  `json:"outputs"`
	// Sounded are outputs that began, Measured those that were heard by what measures them.
	Sounded  []string `json:"sounded,omitempty"`
	Measured []string `json:"measured,omitempty"`
	// What came, was played, was put in where something was missing, and was left out as too late;
	// what is held against jitter now.
	ReceivedMS  int   `json:"received_ms"`
	PlayedMS    int   `json:"played_ms"`
	ConcealedMS int   `json:"concealed_ms"`
	SkippedMS   int   `json:"skipped_ms"`
	HeldMS      int   `json:"held_ms"`
	Why         *Text `json:"why,omitempty"`
}

// Talks is what the served surface asks of whoever lets persons speak.
type Talks interface {
	// OpenTalk opens one, or says why not.
	OpenTalk(TalkAsk, Who, Actor) (Talk, error)
	// TalkState gives one that was opened lately; ErrUnknown is wrapped where there is none.
	TalkState(id string) (Talk, error)
	// Speak gives a piece of the voice of who opened it; ErrOthers is wrapped for others. What is not at its pace is left out, never waited for.
	Speak(id string, b []byte, by Actor) (Talk, error)
	// EndTalk lets what was said be heard out. Beside who opened it an operator may, too.
	EndTalk(id string, by Actor) (Talk, error)
}

type talkID struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *Server) registerTalk() {
	add(s, access.Cadre, http.MethodPost, "/talk", "talk", "A named person speaks by the loudspeakers: opens it; then give the voice", func(ctx context.Context, in *struct{ Body TalkAsk }) (*body[Talk], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		t, err := s.box.OpenTalk(in.Body, who, ActorOf(GrantOf(ctx)))
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[Talk]{t}, nil
	})
	one := func(method, path, id, summary string, f func(string, Actor) (Talk, error)) {
		add(s, access.Cadre, method, "/talk/{id}"+path, id, summary, func(ctx context.Context, in *talkID) (*body[Talk], error) {
			t, err := f(in.ID, ActorOf(GrantOf(ctx)))
			if err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			return &body[Talk]{t}, nil
		})
	}
	one(http.MethodGet, "", "talk-state", "How a talk stands", func(id string, _ Actor) (Talk, error) { return s.box.TalkState(id) })
	one(http.MethodPost, "/end", "end-talk", "The person has ended; what was said is heard out", func(id string, by Actor) (Talk, error) { return s.box.EndTalk(id, by) })
	add(s, access.Cadre, http.MethodPost, "/talk/{id}/voice", "speak", "The voice, at the pace at which it is spoken: one long body, or many short ones one after the other", func(ctx context.Context, in *talkID) (*huma.StreamResponse, error) {
		if _, err := s.box.Speak(in.ID, nil, ActorOf(GrantOf(ctx))); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.speak(hc, in.ID) }}, nil
	}, func(op *huma.Operation) {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
		answers(op, "application/json")
	})
}

// LargestVoice bounds the voice of one request: an hour of 16 bits at 16 kHz.
const LargestVoice = 3600 * 32000

// voiceRead is how much of a voice is read at once: 20 ms of 16 bits at 16 kHz.
const voiceRead = 640

// speak takes a body piece by piece. Its reading ends when nothing comes for a while, and when
// the talk is over.
func (s *Server) speak(hc huma.Context, id string) {
	r, w := humago.Unwrap(hc)
	c := http.NewResponseController(w)
	buf, by := make([]byte, voiceRead), ActorOf(GrantOf(r.Context()))
	var t Talk
	for {
		_ = c.SetReadDeadline(time.Now().Add(s.o.Limits.Read)) // where there is none, the server's own holds
		n, err := r.Body.Read(buf)
		var wrong error
		if t, wrong = s.box.Speak(id, buf[:n], by); wrong != nil {
			s.refuse(hc, problem(http.StatusNotFound, phrase.Of(wrong)))
			return
		}
		if t.State == "ended" || err != nil {
			if err != nil && !errors.Is(err, io.EOF) {
				s.log.Info("a voice broke off", "talk", id, "err", err)
			}
			break
		}
	}
	_ = c.SetWriteDeadline(time.Now().Add(s.o.Limits.Write))
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(t)
}
