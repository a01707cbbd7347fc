package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/mqtt"
	"tocsin/firmware/serve/api"
)

const (
	platformPrefix = "tocsin"
	platformEvery  = time.Minute
	platformDial   = 20 * time.Second
	// platformLook is how often alarms are looked at for a change.
	platformLook = 500 * time.Millisecond
	// platformWaits and platformBytes bound what waits for a broker.
	platformWaits = 2000
	platformBytes = 1 << 20
	platformsMost = 8
)

// provePlatforms proves the platforms of a site.
func (p *prover) provePlatforms() {
	if len(p.site.MQTT) > platformsMost {
		p.problem(phrase.M("site.mqtt_many", "n", len(p.site.MQTT), "most", platformsMost), "mqtt")
	}
	for _, name := range slices.Sorted(maps.Keys(p.site.MQTT)) {
		m := p.site.MQTT[name]
		p.named("mqtt", name)
		at := func(x phrase.Message, key string) { p.problem(x, "mqtt", name, key) }
		host, _, err := net.SplitHostPort(m.Server)
		if err != nil || host == "" {
			at(phrase.M("site.mqtt_server", "server", m.Server), "server")
		}
		local := host == "localhost" || net.ParseIP(host).IsLoopback()
		switch {
		case m.Plain && (m.CA != "" || m.Certificate != "" || m.CertificateKey != ""):
			at(phrase.M("site.mqtt_plain_tls", "platform", name), "plain")
		case m.Plain && !local:
			p.warn(phrase.M("site.mqtt_plain", "platform", name), "mqtt", name, "plain")
		case m.CA != "":
			p.secret(m.CA, readCA, "mqtt", name, "ca")
		}
		if (m.Certificate == "") != (m.CertificateKey == "") {
			at(phrase.M("site.link_pair", "link", name), "certificate")
		} else if m.Certificate != "" {
			p.secret(m.CertificateKey, func(key string) ([]byte, error) {
				b, err := readSecret(key)
				if err != nil {
					return nil, err
				}
				return b, pairOf(beside(p.doc.File, m.Certificate), b)
			}, "mqtt", name, "certificate_key")
		}
		if m.User == "" && m.Password != "" {
			at(phrase.M("site.mqtt_user", "platform", name), "user")
		} else if m.Password != "" {
			p.secret(m.Password, readToken, "mqtt", name, "password")
		}
		for key, v := range map[string]string{"prefix": m.Prefix, "discovery": m.Discovery} {
			if v != "" && (strings.ContainsAny(v, "+#\x00$") || strings.HasPrefix(v, "/") || strings.HasSuffix(v, "/") || len(v) > 100) {
				at(phrase.M("site.mqtt_prefix", "prefix", v), key)
			}
		}
		if d := m.Every.Duration(); d != 0 && (d < time.Second || d > time.Hour) {
			at(phrase.M("site.mqtt_every", "every", d.String()), "every")
		}
		if m.Device != "" && !interfaceName.MatchString(m.Device) {
			at(phrase.M("site.link_device", "device", m.Device), "device")
		}
	}
}

// platforms are those that run, for the page.
type platforms struct {
	mu  sync.Mutex
	all map[string]*mqtt.Publisher
}

func (x *platforms) put(name string, p *mqtt.Publisher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p == nil {
		delete(x.all, name)
		return
	}
	if x.all == nil {
		x.all = map[string]*mqtt.Publisher{}
	}
	x.all[name] = p
}

// Platforms gives how other platforms are told.
func (h *House) Platforms() []api.Platform {
	h.platforms.mu.Lock()
	defer h.platforms.mu.Unlock()
	out := make([]api.Platform, 0, len(h.platforms.all))
	for _, name := range slices.Sorted(maps.Keys(h.platforms.all)) {
		st := h.platforms.all[name].State()
		x := api.Platform{Name: name, Up: st.Up, Since: st.Since, Waiting: st.Waiting, Told: int64(st.Told), Dropped: int64(st.Dropped), Refused: int64(st.Wrong)}
		if !st.Why.IsZero() {
			t := api.TextOf(st.Why)
			x.Why = &t
		}
		out = append(out, x)
	}
	return out
}

// secure makes the TLS of a platform; nil for plain text.
func (h *House) secure(m config.MQTT, host, file string) (*tls.Config, error) {
	if m.Plain {
		return nil, nil
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, Time: func() time.Time { return h.clock.Now().Wall }}
	if m.CA != "" {
		b, err := readCA(beside(file, m.CA))
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM(b)
	}
	if m.Certificate != "" {
		b, err := readCA(beside(file, m.Certificate))
		if err != nil {
			return nil, err
		}
		key, err := readSecret(beside(file, m.CertificateKey))
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(b, key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// platform gives what tells one platform. It looks at what the page may see and holds nobody up.
func (h *House) platform(thing string, m config.MQTT) (func(context.Context) error, error) {
	name, bp := strings.TrimPrefix(thing, "mqtt "), h.seen().bp
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, err
	}
	secure, err := h.secure(m, host, bp.Doc.File)
	if err != nil {
		return nil, err
	}
	var password []byte
	if m.Password != "" {
		if password, err = readToken(beside(bp.Doc.File, m.Password)); err != nil {
			return nil, err
		}
	}
	site := bp.Doc.Site.Site.ID
	prefix := m.Prefix
	if prefix == "" {
		prefix = platformPrefix
	}
	t := &teller{h: h, m: m, base: prefix + "/" + site, said: map[string][sha256.Size]byte{}}
	t.p = mqtt.New(mqtt.Opts{
		Server: m.Server, TLS: secure, ClientID: "tocsin-" + site + "-" + name, User: m.User, Password: password, Base: t.base, Most: platformWaits, Bytes: platformBytes,
		Hello: t.hello, Dial: courier.Dialer(m.Device, platformDial).DialContext, Log: h.log,
		Start: func(lane string, run func()) {
			h.guard.Go("reach", thing+" "+lane, guard.Once, func(context.Context) error { run(); return nil })
		},
		Fault: func(why phrase.Message) {
			if why.IsZero() {
				h.clearFault(thing)
			} else {
				h.setFault(thing, why)
			}
		},
	})
	return func(ctx context.Context) error {
		h.platforms.put(name, t.p)
		defer h.platforms.put(name, nil)
		in, end := context.WithCancel(ctx)
		defer end()
		done := make(chan struct{})
		h.guard.GoIn(in, "reach", thing+" readings", guard.Once, func(ctx context.Context) error { defer close(done); t.run(ctx); return nil })
		err := t.p.Run(ctx)
		end()
		<-done
		return err
	}, nil
}

// teller makes the messages of one platform.
type teller struct {
	h    *House
	m    config.MQTT
	base string
	p    *mqtt.Publisher

	mu   sync.Mutex
	said map[string][sha256.Size]byte // what each topic was offered last
}

// run offers what is new until ctx ends.
func (t *teller) run(ctx context.Context) {
	every := t.m.Every.Duration()
	if every == 0 {
		every = platformEvery
	}
	look, readings := time.NewTicker(platformLook), time.NewTicker(every)
	defer look.Stop()
	defer readings.Stop()
	t.readings()
	for {
		t.alarms()
		t.state()
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-readings.C:
			t.readings()
		}
	}
}

// offer offers a topic whose content has changed.
func (t *teller) offer(topic string, body any, urgent bool) {
	b, err := json.Marshal(body)
	if err != nil {
		t.h.log.Error("mqtt: not written", "topic", topic, "err", err)
		return
	}
	sum := sha256.Sum256(b)
	t.mu.Lock()
	same := t.said[topic] == sum
	t.said[topic] = sum
	t.mu.Unlock()
	if !same {
		t.p.Offer(mqtt.Message{Topic: topic, Payload: b, Urgent: urgent})
	}
}

// hello forgets what was said, so that all of it is offered again, and finds the points.
func (t *teller) hello() []mqtt.Message {
	t.mu.Lock()
	clear(t.said)
	t.mu.Unlock()
	t.readings()
	t.alarms()
	t.state()
	if t.m.Discovery == "" {
		return nil
	}
	var all []mqtt.Message
	s := t.h.seen()
	site := s.bp.Doc.Site.Site
	for _, p := range s.bp.Points {
		id := strings.NewReplacer(".", "_", "-", "_").Replace(string(p.ID))
		d := haSensor{
			Name: named(p.Name, string(p.ID)).ZH, ID: "tocsin_" + site.ID + "_" + id, State: t.base + "/" + pointTopic(p.ID), Value: "{{ value_json.value if value_json.value is not none else None }}",
			Unit: string(p.Unit), Attributes: t.base + "/" + pointTopic(p.ID), Availability: t.base + "/status", Online: "online", Offline: "offline",
			Device: haDevice{IDs: []string{"tocsin_" + site.ID}, Name: named(site.Name, site.ID).ZH, Maker: "Tocsin", Version: Version},
		}
		if p.Unit == "1" || p.Unit == "on/off" {
			d.Unit = ""
		}
		b, err := json.Marshal(d)
		if err == nil {
			all = append(all, mqtt.Message{Topic: t.m.Discovery + "/sensor/" + d.ID + "/config", Payload: b})
		}
	}
	return all
}

// haSensor is what Home Assistant is told of a point.
type haSensor struct {
	Name         string   `json:"name"`
	ID           string   `json:"unique_id"`
	State        string   `json:"state_topic"`
	Value        string   `json:"value_template"`
	Unit         string   `json:"unit_of_measurement,omitempty"`
	Attributes   string   `json:"json_attributes_topic"`
	Availability string   `json:"availability_topic"`
	Online       string   `json:"payload_available"`
	Offline      string   `json:"payload_not_available"`
	Device       haDevice `json:"device"`
}

type haDevice struct {
	IDs     []string `json:"identifiers"`
	Name    string   `json:"name"`
	Maker   string   `json:"manufacturer"`
	Version string   `json:"sw_version"`
}

// mqttText is a name or a reason in both languages.
type mqttText struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

func mqttOf(t api.Text) mqttText { return mqttText{t.ZH, t.EN} }

func pointTopic(id point.ID) string {
	dev, part, _ := strings.Cut(string(id), ".")
	return "points/" + dev + "/" + part
}

// mqttPoint is the latest of a point. A value that is not good is null.
type mqttPoint struct {
	Name    mqttText  `json:"name"`
	Value   *float64  `json:"value"`
	Text    string    `json:"text,omitempty"`
	Unit    string    `json:"unit"`
	Quality string    `json:"quality"`
	At      time.Time `json:"at"`
	Why     *mqttText `json:"why,omitempty"`
}

func (t *teller) readings() {
	for _, r := range t.h.Readings() {
		n := named(r.Name, string(r.Point))
		x := mqttPoint{Name: mqttText{n.ZH, n.EN}, Text: r.Text, Unit: r.Unit, Quality: r.Quality.String(), At: r.At.UTC().Truncate(time.Millisecond)}
		if r.Quality == point.Good && r.Value != nil && !math.IsNaN(*r.Value) && !math.IsInf(*r.Value, 0) {
			x.Value = r.Value
		}
		if r.Quality == point.Unknown {
			x.At = t.h.begun.Wall.UTC().Truncate(time.Millisecond) // never measured: its time is that of the start
		}
		if r.Why != nil {
			w := mqttOf(*r.Why)
			x.Why = &w
		}
		t.offer(pointTopic(r.Point), x, false)
	}
}

// mqttAlarm is the latest alarm of a hazard.
type mqttAlarm struct {
	ID        string     `json:"id"`
	Hazard    mqttText   `json:"hazard"`
	Level     string     `json:"level"`
	LevelName mqttText   `json:"level_name"`
	State     string     `json:"state"`
	Blind     bool       `json:"blind"`
	Raised    time.Time  `json:"raised"`
	Changed   time.Time  `json:"changed"`
	Because   []mqttText `json:"because"`
}

func (t *teller) alarms() {
	all := t.h.Alarms()
	slices.Reverse(all) // of one hazard the one that stands, or ended last, is the last word
	latest := map[string]mqttAlarm{}
	for _, a := range all {
		if old, there := latest[a.Hazard]; there && old.Changed.After(a.Changed) {
			continue
		}
		x := mqttAlarm{ID: a.ID, Hazard: mqttOf(a.HazardText), Level: a.Level, LevelName: mqttOf(a.LevelText), State: a.State, Blind: a.Blind,
			Raised: a.Raised.UTC().Truncate(time.Millisecond), Changed: a.Changed.UTC().Truncate(time.Millisecond), Because: []mqttText{}}
		for _, b := range a.Because {
			x.Because = append(x.Because, mqttOf(b))
		}
		latest[a.Hazard] = x
	}
	for _, hz := range slices.Sorted(maps.Keys(latest)) {
		// What raises a level keeps its words while it stands; the values in them move with each reading,
		// so the topic is told when the alarm changes.
		x := latest[hz]
		key := x
		key.Because = nil
		t.change("alarms/"+topicWord(hz), key, x)
	}
}

// change offers a topic when its key has changed.
func (t *teller) change(topic string, key, body any) {
	k, err1 := json.Marshal(key)
	b, err2 := json.Marshal(body)
	if err1 != nil || err2 != nil {
		return
	}
	sum := sha256.Sum256(k)
	t.mu.Lock()
	same := t.said[topic] == sum
	t.said[topic] = sum
	t.mu.Unlock()
	if !same {
		t.p.Offer(mqtt.Message{Topic: topic, Payload: b, Urgent: true})
	}
}

// topicWord makes one level of a topic of an id.
func topicWord(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r == '/' || r == '+' || r == '#' || r < ' ' {
			return '_'
		}
		return r
	}, []byte(s)))
}

// mqttState is the box at a glance.
type mqttState struct {
	Version   string    `json:"version"`
	Name      mqttText  `json:"name"`
	Level     string    `json:"level"`
	LevelName mqttText  `json:"level_name"`
	Armed     bool      `json:"armed"`
	Blind     bool      `json:"blind"`
	Faults    int       `json:"faults"`
	Clock     string    `json:"clock"`
	At        time.Time `json:"at"`
}

func (t *teller) state() {
	st := t.h.Status()
	n := named(st.Name, st.Site)
	x := mqttState{Version: st.Version, Name: mqttText{n.ZH, n.EN}, Level: st.Level, LevelName: mqttOf(st.LevelText), Armed: st.Armed, Blind: st.Blind, Faults: len(t.h.Faults()), Clock: st.Trust}
	key := x
	x.At = st.Now.UTC().Truncate(time.Millisecond)
	t.change("state", key, x)
}
