package letter

import (
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// Bounds of what a station and its hub say of pictures.
const (
	// AskMost and CatalogueMost bound one message, in bytes.
	AskMost       = 16 << 10
	CatalogueMost = 64 << 10
	// StreamsMost bounds a station's catalogue.
	StreamsMost = 32
	// ClipsMost bounds what a station tells to be waiting.
	ClipsMost = 1 << 16
	// TokenFor is the longest that a token lets a station begin to push, or bring clips.
	TokenFor = 5 * time.Minute

	streamMost = 40
	titleMost  = 120
	iceMost    = 4
	iceURLs    = 8
)

// Ask is where the hub asks the station for pictures: a request, answered once.
func (s Station) Ask() string { return "see." + s.place() + ".ask" }

// Told is where the station tells which pictures it has.
func (s Station) Told() string { return "see." + s.place() + ".told" }

// ToldAll is the subject of all stations' catalogues.
const ToldAll = "see.*.*.*.told"

// ParseTold gives the station of a catalogue's subject, and refuses a place that is
// not the station's own.
func ParseTold(subject string) (Station, bool) {
	p := strings.Split(subject, ".")
	if len(subject) > 160 || len(p) != 5 {
		return "", false
	}
	s := Station(p[3])
	return s, s.Valid() && s.Told() == subject
}

// IsStream tells whether s can name a station's stream: letters, digits, - and _.
func IsStream(s string) bool { return token(s, streamMost) }

// ICE is a server that helps to find a way through (RFC 8489, 8656).
type ICE struct {
	URLs     []string `json:"urls"` // stun:, turn:, turns:
	User     string   `json:"user,omitempty"`
	Password string   `json:"password,omitempty"`
}

// Push asks a station to send one stream by WHIP (RFC 9725).
type Push struct {
	Stream string `json:"stream"`
	// URL is the hub's, https, or http on this machine.
	URL string `json:"url"`
	// Token is the bearer's. It lets this station begin to push this stream once,
	// before Until; and end what it began.
	Token string    `json:"token"`
	Until time.Time `json:"until"`
	ICE   []ICE     `json:"ice,omitempty"`
	// Link is the one by which the station was asked; the station fills it in.
	Link string `json:"-"`
}

// Bring asks a station to bring the clips that its alarms keep (recorder.HTTPSink). A hub asks
// only a station that tells of some, and again before Until while it does.
type Bring struct {
	// URL is the hub's, https, or http on this machine: a clip is below it.
	URL string `json:"url"`
	// Token is the bearer's. It lets this station bring clips, until Until.
	Token string    `json:"token"`
	Until time.Time `json:"until"`
	// Link is the one by which the station was asked; the station fills it in.
	Link string `json:"-"`
}

// Ask is what the hub says: one of them.
type Ask struct {
	Version int    `json:"version"`
	Push    *Push  `json:"push,omitempty"`
	Bring   *Bring `json:"bring,omitempty"`
	Stop    string `json:"stop,omitempty"` // a stream
}

// Answer is what the station says to it; a zero Error says that it will be done.
type Answer struct {
	Error phrase.Message `json:"error,omitzero"`
}

// The states of a stream.
const (
	StreamLive = "live" // pictures come
	StreamIdle = "idle" // the source is asked when somebody wants to see
	StreamLost = "lost" // the source does not answer
)

// StreamOf is one picture that a station has.
type StreamOf struct {
	Name  string      `json:"name"`
	Title phrase.Text `json:"title,omitzero"`
	State string      `json:"state"`
	Codec string      `json:"codec,omitempty"`
	Width int         `json:"width,omitempty"`
	// Height is in pixels like Width, Kbps what comes from the source.
	Height int  `json:"height,omitempty"`
	Kbps   int  `json:"kbps,omitempty"`
	Sound  bool `json:"sound,omitempty"`
	// Rung is how much of it the link to the county bears, 0 all; Reason is why.
	Rung   int            `json:"rung,omitempty"`
	Reason phrase.Message `json:"reason,omitzero"`
	// Note is what is odd about the source.
	Note phrase.Message `json:"note,omitzero"`
}

// Catalogue is what a station tells of its pictures.
type Catalogue struct {
	Version int        `json:"version"`
	Streams []StreamOf `json:"streams"`
	// Talk says that a voice from the county can be heard there.
	Talk bool `json:"talk,omitempty"`
	// Clips are those that wait for the county to ask for them.
	Clips int `json:"clips,omitempty"`
}

const picturesVersion = 1

// Bytes writes it.
func (a Ask) Bytes() ([]byte, error) {
	a.Version = picturesVersion
	b, err := json.Marshal(a)
	if err == nil && len(b) > AskMost {
		err = phrase.E("letter.pictures")
	}
	return b, err
}

// ParseAsk reads what the hub asks for.
func ParseAsk(b []byte) (Ask, error) {
	var a Ask
	if len(b) > AskMost || json.Unmarshal(b, &a) != nil || a.Version < 1 {
		return Ask{}, phrase.E("letter.pictures")
	}
	n := 0
	for _, there := range []bool{a.Push != nil, a.Bring != nil, a.Stop != ""} {
		if there {
			n++
		}
	}
	switch p := a.Push; {
	case n != 1:
		return Ask{}, phrase.E("letter.pictures")
	case a.Stop != "" && !IsStream(a.Stop), p != nil && !IsStream(p.Stream):
		return Ask{}, phrase.E("letter.stream", "stream", clip(a.Stop), "most", streamMost)
	case p != nil:
		if err := p.check(); err != nil {
			return Ask{}, err
		}
	case a.Bring != nil:
		if err := reach(a.Bring.URL, a.Bring.Token); err != nil {
			return Ask{}, err
		}
	}
	return a, nil
}

// reach proves an address of the hub's and the token for it.
func reach(at, bearer string) error {
	u, err := url.Parse(at)
	if err != nil || len(at) > 400 || u.User != nil || u.Fragment != "" || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return phrase.E("letter.push_url")
	}
	if len(bearer) < 16 || len(bearer) > 128 || !token(bearer, 128) {
		return phrase.E("letter.pictures")
	}
	return nil
}

func (p *Push) check() error {
	if err := reach(p.URL, p.Token); err != nil {
		return err
	}
	if len(p.ICE) > iceMost {
		return phrase.E("letter.pictures")
	}
	for _, s := range p.ICE {
		if len(s.URLs) == 0 || len(s.URLs) > iceURLs || len(s.User) > 200 || len(s.Password) > 200 {
			return phrase.E("letter.pictures")
		}
		for _, u := range s.URLs {
			scheme, _, ok := strings.Cut(u, ":")
			if !ok || len(u) > 200 || scheme != "stun" && scheme != "turn" && scheme != "turns" {
				return phrase.E("letter.pictures")
			}
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Bytes writes it.
func (c Catalogue) Bytes() ([]byte, error) {
	c.Version = picturesVersion
	b, err := json.Marshal(c)
	if err == nil && len(b) > CatalogueMost {
		err = phrase.E("letter.pictures")
	}
	return b, err
}

// ParseCatalogue reads one. A stream whose name, state or size cannot be is left out.
func ParseCatalogue(b []byte) (Catalogue, error) {
	var c Catalogue
	if len(b) > CatalogueMost || json.Unmarshal(b, &c) != nil || c.Version < 1 {
		return Catalogue{}, phrase.E("letter.pictures")
	}
	seen := map[string]bool{}
	good := c.Streams[:0]
	for _, s := range c.Streams {
		switch {
		case len(good) == StreamsMost, seen[s.Name], !IsStream(s.Name),
			s.State != StreamLive && s.State != StreamIdle && s.State != StreamLost,
			s.Width < 0, s.Width > 1<<14, s.Height < 0, s.Height > 1<<14, s.Kbps < 0, s.Rung < 0, s.Rung > 9,
			len(s.Codec) > 16, len(s.Title.ZH) > titleMost, len(s.Title.EN) > titleMost, !utf8.ValidString(s.Title.ZH + s.Title.EN):
			continue
		}
		seen[s.Name] = true
		good = append(good, s)
	}
	c.Streams, c.Clips = good, min(max(c.Clips, 0), ClipsMost)
	return c, nil
}

// Bytes writes it.
func (a Answer) Bytes() []byte {
	b, err := json.Marshal(a)
	if err != nil {
		return []byte(`{"error":{"code":"letter.pictures"}}`)
	}
	return b
}

// ParseAnswer reads one; an error is also what the station refuses for.
func ParseAnswer(b []byte) error {
	var a Answer
	if len(b) > AskMost || json.Unmarshal(b, &a) != nil {
		return phrase.E("letter.pictures")
	}
	if !a.Error.IsZero() {
		return &phrase.Error{Message: a.Error}
	}
	return nil
}
