package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// Alert is one warning from outside as this box knows it.
type Alert struct {
	// Chain names the warning from its first message to its last update.
	Chain      string    `json:"chain"`
	Identifier string    `json:"identifier"`
	Sender     string    `json:"sender"`
	Sent       time.Time `json:"sent"`
	// Issuer is who of the site's issuers said it; empty where nobody vouches.
	Issuer  string `json:"issuer,omitempty"`
	Status  string `json:"status"`
	MsgType string `json:"msg_type"`
	// State: in_force, waiting, held, superseded, cancelled, expired, refused.
	State     string `json:"state"`
	StateText Text   `json:"state_text"`
	// What it says, as it was sent: where it lacks one of the languages, the words
	// of the other stand in.
	SenderName  Text   `json:"sender_name"`
	Event       Text   `json:"event"`
	Headline    Text   `json:"headline"`
	Description Text   `json:"description"`
	Instruction Text   `json:"instruction"`
	Colour      string `json:"colour,omitempty"`
	// Level is what this box does about it, "" where it raises none.
	Level     string `json:"level,omitempty"`
	LevelText Text   `json:"level_text"`
	Kind      string `json:"kind,omitempty"`
	// Action says why it sounds or does not.
	Action   Text      `json:"action"`
	Concerns bool      `json:"concerns"`
	Expires  time.Time `json:"expires,omitzero"`
	// Ended is when it was cancelled, superseded or ran out.
	Ended time.Time `json:"ended,omitzero"`
	// Ways are how it came, Seen how often.
	Ways []string `json:"ways,omitempty"`
	Seen int      `json:"seen"`
	// Marked: it was believed while the clock could not be.
	Marked bool `json:"marked,omitempty"`
	// Verdict answers the four questions as they were answered when it came.
	Verdict Verdict `json:"verdict"`
}

// Verdict answers whether an alert is well-formed, genuine, trusted and in force,
// and why not.
type Verdict struct {
	WellFormed bool `json:"well_formed"`
	Genuine    bool `json:"genuine"`
	Trusted    bool `json:"trusted"`
	InForce    bool `json:"in_force"`
	// Status and Concerns (this place) are told beside: none of the four.
	Status   string `json:"status,omitempty"`
	Concerns bool   `json:"concerns"`
	Area     Text   `json:"area"`
	// Action says what this box does, or would do.
	Action Text `json:"action"`
	// Outcome says what became of it here.
	Outcome  Text     `json:"outcome"`
	Identity string   `json:"identity,omitempty"` // sender,identifier,sent
	Issuer   string   `json:"issuer,omitempty"`
	Key      string   `json:"key,omitempty"`
	Lenient  bool     `json:"lenient,omitempty"`
	Profile  string   `json:"profile,omitempty"`
	Reasons  []Reason `json:"reasons,omitempty"`
}

// Reason is one finding: where, which of the four it concerns, and whether it
// answers that with no.
type Reason struct {
	Path  string `json:"path,omitempty"`
	Part  string `json:"part"`
	Fatal bool   `json:"fatal"`
	Text  Text   `json:"text"`
}

// CommandVerdict says what became of a signed command.
type CommandVerdict struct {
	Accepted bool   `json:"accepted"`
	ID       string `json:"id,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	Scope    string `json:"scope,omitempty"`
	// Marked: believed while the clock could not be.
	Marked  bool `json:"marked,omitempty"`
	Outcome Text `json:"outcome"`
}

// Warnings is what the served surface asks of whatever takes warnings and
// commands from outside and gives out the box's own.
type Warnings interface {
	// Alerts gives what is known of each alert, newest first.
	Alerts() []Alert
	// TakeAlert verifies an alert and acts on it; ErrBusy where there is no room for
	// it now.
	TakeAlert(ctx context.Context, raw []byte, way string) (Verdict, error)
	// CheckAlert answers the same questions and does nothing.
	CheckAlert(raw []byte) Verdict
	// TakeCommand verifies a signed command and carries it out.
	TakeCommand(ctx context.Context, raw []byte, way string) (CommandVerdict, error)
	// OfferDocument takes the bytes of a site's file that a signed command names, and
	// says what became of them.
	OfferDocument(ctx context.Context, raw []byte) (Text, error)
	// OwnFeed gives the box's own messages as an Atom feed of CAP; links begin with
	// base.
	OwnFeed(base string) []byte
	// OwnMessage gives one of them; false where it is not kept any more.
	OwnMessage(id string) ([]byte, bool)
}

// ErrBusy says that there is no room now and that the same may be asked again.
var ErrBusy = errors.New("no room now")

// LargestMessage bounds an alert or a command that is posted, in bytes. The largest
// alert that was seen in the field has 881 kB.
const LargestMessage = 2 << 20

const capXML = "application/cap+xml"

// The bytes of a RawBody are the server's again when a handler ends: what may
// outlive it gets a copy.

type rawIn struct {
	RawBody []byte `contentType:"application/cap+xml"`
}

type dsseIn struct {
	RawBody []byte `contentType:"application/vnd.dsse.envelope.v1+json"`
}

type yamlIn struct {
	RawBody []byte `contentType:"application/yaml"`
}

func large(op *huma.Operation) {
	op.MaxBodyBytes = LargestMessage
	op.SkipValidateBody = true
}

func (s *Server) registerAlerts() {
	get(s, "/alerts", "alerts", "Warnings from outside as this box knows them, newest first", func() []Alert { return full(s.box.Alerts()) })
	add(s, access.Operator, http.MethodPost, "/alerts", "take-alert", "Take a signed CAP alert: verified here before anything sounds", s.takeAlert, large)
	add(s, access.Operator, http.MethodPost, "/alerts/check", "check-alert", "Say of a CAP alert whether it is well-formed, genuine, trusted and in force, and do nothing", func(_ context.Context, in *rawIn) (*body[Verdict], error) {
		return &body[Verdict]{s.box.CheckAlert(in.RawBody)}, nil
	}, large)
	add(s, access.Operator, http.MethodPost, "/commands", "take-command", "Take a signed command (DSSE): verified here before it is carried out", s.takeCommand, large)
	add(s, access.Operator, http.MethodPost, "/documents", "offer-document", "Hand in the site's file that a signed configuration command names by its digest", func(ctx context.Context, in *yamlIn) (*body[Text], error) {
		t, err := s.box.OfferDocument(ctx, bytes.Clone(in.RawBody))
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[Text]{t}, nil
	}, large)
	type named struct {
		ID string `path:"id" maxLength:"128"`
	}
	add(s, access.Viewer, http.MethodGet, "/cap", "own-feed", "The box's own alarms and receipts as an Atom feed of signed CAP messages", func(context.Context, *none) (*huma.StreamResponse, error) {
		return s.document("application/atom+xml", func(host string) ([]byte, bool) { return s.box.OwnFeed("http://" + host + prefix + "/cap"), true }), nil
	}, func(op *huma.Operation) { answers(op, "application/atom+xml") })
	add(s, access.Viewer, http.MethodGet, "/cap/{id}", "own-message", "One of the box's own messages, signed", func(_ context.Context, in *named) (*huma.StreamResponse, error) {
		return s.document(capXML, func(string) ([]byte, bool) { return s.box.OwnMessage(in.ID) }), nil
	}, func(op *huma.Operation) { answers(op, capXML) })
}

func (s *Server) takeAlert(ctx context.Context, in *rawIn) (*body[Verdict], error) {
	v, err := s.box.TakeAlert(ctx, bytes.Clone(in.RawBody), GrantOf(ctx).Via)
	if err != nil {
		return nil, s.later(err)
	}
	return &body[Verdict]{v}, nil
}

func (s *Server) takeCommand(ctx context.Context, in *dsseIn) (*body[CommandVerdict], error) {
	v, err := s.box.TakeCommand(ctx, bytes.Clone(in.RawBody), GrantOf(ctx).Via)
	if err != nil {
		return nil, s.later(err)
	}
	return &body[CommandVerdict]{v}, nil
}

func (s *Server) later(err error) error {
	if errors.Is(err, ErrBusy) {
		return huma.ErrorWithHeaders(problem(http.StatusServiceUnavailable, phrase.M("serve.alerts_busy")), http.Header{"Retry-After": {"1"}})
	}
	return s.refused(http.StatusServiceUnavailable, err)
}

// document answers with bytes of a media type, 404 where there are none.
func (s *Server) document(media string, f func(host string) ([]byte, bool)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		b, ok := f(r.Host)
		if !ok {
			s.refuse(hc, problem(http.StatusNotFound, phrase.M("serve.no_message")))
			return
		}
		w.Header().Set("Content-Type", media)
		w.Write(b)
	}}
}
