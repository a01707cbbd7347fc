package station

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// office is a county that warns: a key that the town trusts.
type office struct {
	t   *testing.T
	w   *town
	key *trust.PrivateKey
	n   int
}

const townAlerts = `alerts:
  trust:
    issuers:
      county:
        name: {zh: 县局, en: County}
        senders: [county@example]
        keys: [{file: county.pub}, {file: second.pub, person: 李}]
        grant: {kinds: [real, drill], most_level: evacuate, areas: ["4418"], scopes: [sound, stop, drill, volume, configuration], persons: {sound: 2}}
  groups: [valley]
  folders: {drop: {path: DROP, every: 500ms}}
page:`

// newOffice makes its keys and writes them beside the town's site, which takes
// warnings from now on.
func newOffice(t *testing.T, w *town) (first, second *office) {
	t.Helper()
	make := func(name string, kind trust.Kind) *office {
		k, err := trust.NewSigner(kind)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := trust.PublicPEM(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		w.write(name, string(pub))
		return &office{t: t, w: w, key: k}
	}
	first, second = make("county.pub", trust.SM2), make("second.pub", trust.P256)
	drop := filepath.Join(w.dir, "drop")
	if err := os.Mkdir(drop, 0o755); err != nil {
		t.Fatal(err)
	}
	w.text = strings.Replace(w.text, "page:", strings.Replace(townAlerts, "DROP", drop, 1), 1)
	w.write("site.yaml", w.text)
	return first, second
}

// said is one alert of the office.
type warning struct {
	msgType, status, severity, headline string
	response, event                     string
	refers                              []string
	expires                             time.Duration
	ref                                 string
	text                                []byte
}

// saysPlain says something that asks nobody to leave.
func (o *office) saysPlain(a warning) warning {
	a.response, a.event = "Monitor", "大风"
	return o.says(a)
}

func (o *office) says(a warning) warning {
	o.t.Helper()
	o.n++
	now := time.Now().Truncate(time.Second)
	at := now.Format("2006-01-02T15:04:05-07:00")
	at = strings.Replace(at, "+00:00", "-00:00", 1) // CAP 1.2, 3.3.2
	id := fmt.Sprintf("c-%d-%d", now.UnixNano(), o.n)
	for v, d := range map[*string]string{&a.msgType: "Alert", &a.status: "Actual", &a.severity: "Extreme", &a.headline: "山洪红色预警", &a.response: "Evacuate", &a.event: "山洪"} {
		if *v == "" {
			*v = d
		}
	}
	if a.expires == 0 {
		a.expires = time.Hour
	}
	refs := ""
	if len(a.refers) > 0 {
		refs = "<references>" + strings.Join(a.refers, " ") + "</references>"
	}
	end := strings.Replace(now.Add(a.expires).Format("2006-01-02T15:04:05-07:00"), "+00:00", "-00:00", 1)
	plain := fmt.Sprintf(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>%s</identifier><sender>county@example</sender><sent>%s</sent>`+
		`<status>%s</status><msgType>%s</msgType><scope>Public</scope>%s<info><language>zh-CN</language><category>Geo</category><event>%s</event>`+
		`<responseType>%s</responseType><urgency>Immediate</urgency><severity>%s</severity><certainty>Likely</certainty><expires>%s</expires><senderName>县局</senderName>`+
		`<headline>%s</headline><description>请转移。</description><area><areaDesc>黄渡村</areaDesc><geocode><valueName>areaCode</valueName><value>441882103201</value></geocode></area></info></alert>`,
		id, at, a.status, a.msgType, refs, a.event, a.response, a.severity, end, a.headline)
	signed, err := xmldsig.Sign([]byte(plain), o.key, nil, xmldsig.SignOptions{})
	if err != nil {
		o.t.Fatal(err)
	}
	a.text, a.ref = signed, "county@example,"+id+","+at
	return a
}

func (w *town) hand(path, media string, b []byte, into any) {
	w.t.Helper()
	r, err := w.client().Post("http://edged/api/v1"+path, media, bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	said, _ := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s %s", path, r.Status, said)
	}
	if err := json.Unmarshal(said, into); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) warnedBy(a warning) (v api.Verdict) {
	w.t.Helper()
	w.hand("/alerts", "application/cap+xml", a.text, &v)
	return v
}

// warnings gives the alarms that came from outside.
func (w *town) warnings() (out []api.Alarm) {
	var all []api.Alarm
	if w.get("/alarms", &all) == nil {
		for _, a := range all {
			if strings.HasPrefix(a.Hazard, "warned:") {
				out = append(out, a)
			}
		}
	}
	return out
}

func (w *town) warning(level, state string) (a api.Alarm) {
	w.t.Helper()
	w.until("a warning at "+level+", "+state, func() bool {
		for _, x := range w.warnings() {
			if x.State == state && (x.Level == level || level == "") {
				a = x
				return true
			}
		}
		return false
	})
	return a
}

func TestASignedWarningSoundsIsEasedAndIsLiftedByItsSender(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	w.start()
	began := time.Now()
	red := county.says(warning{})
	if v := w.warnedBy(red); !v.WellFormed || !v.Genuine || !v.Trusted || !v.InForce || !v.Concerns {
		t.Fatalf("%+v", v)
	}
	a := w.warning("evacuate", "raised")
	w.sounds(began)
	if got := w.recorded("receipt.heard", a.ID); got.Body["measured"] != "current" {
		t.Errorf("%+v", got)
	}
	// What was said once is not sounded again, by whatever way it comes.
	w.warnedBy(red)
	if err := os.WriteFile(filepath.Join(w.dir, "drop", "copy.xml"), red.text, 0o644); err != nil {
		t.Fatal(err)
	}
	w.until("the copy judged", func() bool {
		f, _ := filepath.Glob(filepath.Join(w.dir, "drop", "done", "*.xml"))
		return len(f) == 1
	})
	if n := len(w.warnings()); n != 1 {
		t.Errorf("%d alarms of one warning", n)
	}
	// Nobody here lifts it while it is in force.
	b, _ := json.Marshal(api.Reasoned{Who: "王", Reason: "试"})
	r, err := w.client().Post("http://edged/api/v1/alarms/"+a.ID+"/release", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusConflict {
		t.Errorf("a person here lifted it: %s", r.Status)
	}
	// A cut: the same alarm, and it sounds on.
	w.halt()
	began = time.Now()
	w.start()
	if got := w.warning("evacuate", "raised"); got.ID != a.ID {
		t.Errorf("%s after the cut, %s before", got.ID, a.ID)
	}
	w.sounds(began)
	orange := county.says(warning{msgType: "Update", severity: "Moderate", headline: "山洪黄色预警", refers: []string{red.ref}})
	w.warnedBy(orange)
	if got := w.warning("prepare", "raised"); got.ID != a.ID {
		t.Errorf("the update raised another alarm: %s", got.ID)
	}
	w.warnedBy(county.says(warning{msgType: "Cancel", refers: []string{red.ref, orange.ref}}))
	got := w.warning("", "released")
	if got.ID != a.ID || got.By == nil || got.By.Via != "alert" || got.By.Name != "县局" {
		t.Errorf("%+v", got)
	}
	w.silent()
	if again := w.warnedBy(red); again.InForce {
		t.Errorf("a cancelled warning came back: %+v", again)
	}
	w.recorded("alert.sent", a.ID)
}

func TestNothingThatIsNotBelievedSounds(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	stranger := &office{t: t, w: w}
	var err error
	if stranger.key, err = trust.NewSigner(trust.P256); err != nil {
		t.Fatal(err)
	}
	w.start()
	good := county.says(warning{})
	for what, c := range map[string]struct {
		text []byte
		want func(api.Verdict) bool
	}{
		"changed":         {bytes.Replace(good.text, []byte("请转移"), []byte("请留守"), 1), func(v api.Verdict) bool { return v.WellFormed && !v.Genuine }},
		"unsigned":        {good.text[:0:0], nil},
		"by a stranger":   {stranger.says(warning{}).text, func(v api.Verdict) bool { return !v.Trusted }},
		"a test":          {county.says(warning{status: "Test"}).text, func(v api.Verdict) bool { return v.Trusted }},
		"no alert at all": {[]byte("<alert>"), func(v api.Verdict) bool { return !v.WellFormed }},
	} {
		if c.want == nil {
			continue
		}
		var v api.Verdict
		w.hand("/alerts", "application/cap+xml", c.text, &v)
		if !c.want(v) {
			t.Errorf("%s: %+v", what, v)
		}
		if !v.Trusted && len(v.Reasons) == 0 {
			t.Errorf("%s: refused without a reason", what)
		}
	}
	if got := w.warnings(); len(got) != 0 {
		t.Errorf("an alarm was raised: %+v", got)
	}
	if w.v.Horn.Current().OnBetween(time.Time{}, time.Now()) > 0 {
		t.Error("it sounded")
	}
	var all []api.Alert
	w.until("what is held is shown", func() bool {
		held := 0
		if w.get("/alerts", &all) == nil {
			for _, a := range all {
				if a.State == "held" {
					held++
				}
			}
		}
		return held == 2
	})
}

func TestAWarningThatRunsOutWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	w.start()
	began := time.Now()
	w.warnedBy(county.says(warning{expires: 8 * time.Second}))
	a := w.warning("evacuate", "raised")
	w.sounds(began)
	w.warning("", "subsided")
	w.silent()
	w.post("/alarms/"+a.ID+"/release", api.Reasoned{Who: "王", Reason: "过了"})
	if got := w.warning("", "released"); got.By.Name != "王" {
		t.Errorf("%+v", got)
	}
}

func TestWhatADisownedOfficeWarnedOfMayBeReleasedHere(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	w.start()
	red := county.says(warning{})
	w.warnedBy(red)
	a := w.warning("evacuate", "raised")
	release := func() int {
		b, _ := json.Marshal(api.Reasoned{Who: "王", Reason: "假警报"})
		r, err := w.client().Post("http://edged/api/v1/alarms/"+a.ID+"/release", "application/json", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if got := release(); got != http.StatusConflict {
		t.Fatalf("a person here lifted it: %d", got)
	}
	id, err := trust.IDOf(county.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.editBy("王", "  trust:\n", "  trust:\n    revoked: [{key: "+string(id)+`, since: "2026-01-01", compromised: true}]`+"\n")
	// It sounds on until somebody decides, and is not raised again.
	w.until("a person may release it", func() bool { return release() < 300 })
	if got := w.warning("", "released"); got.By.Name != "王" {
		t.Errorf("%+v", got)
	}
	read := strings.Count(w.log.String(), "msg=reloaded")
	w.hangUp()
	w.until("the file read again", func() bool { return strings.Count(w.log.String(), "msg=reloaded") > read })
	w.silent()
	if got := w.warnings(); len(got) != 1 || got[0].State != "released" {
		t.Errorf("%+v", got)
	}
	// A stranger's word raises nothing anew.
	w.warnedBy(red)
	if got := w.warnings(); len(got) != 1 || got[0].State != "released" {
		t.Errorf("%+v", got)
	}
}

func TestACancelThatComesLateStillGivesTheAllClear(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	w.start()
	red := county.says(warning{expires: 5 * time.Second})
	w.warnedBy(red)
	cancel := county.says(warning{msgType: "Cancel", refers: []string{red.ref}})
	a := w.warning("evacuate", "raised")
	w.warning("", "subsided")
	w.warnedBy(cancel)
	if got := w.warning("", "released"); got.ID != a.ID || got.By == nil || got.By.Name != "县局" {
		t.Errorf("%+v", got)
	}
}

func TestACommandNeedsTwoPersonsAndIsObeyedOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	first, second := newOffice(t, w)
	w.start()
	n := uint64(time.Now().Unix())
	sign := func(p command.Payload, by ...trust.Signer) []byte {
		t.Helper()
		n++
		p.ID, p.Counter, p.Group, p.Person, p.Issued, p.Expires = fmt.Sprintf("c%d", n), n, "valley", "李", time.Now(), time.Now().Add(5*time.Minute)
		b, err := command.Sign(p, by...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	send := func(b []byte) (v api.CommandVerdict) {
		t.Helper()
		w.hand("/commands", "application/vnd.dsse.envelope.v1+json", b, &v)
		return v
	}
	sound := command.Payload{Scope: command.Sound, Level: "prepare", Outputs: []string{"siren"}, Seconds: 60}
	if v := send(sign(sound, first.key)); v.Accepted {
		t.Fatalf("one person was enough: %+v", v)
	}
	began := time.Now()
	both := sign(sound, first.key, second.key)
	if v := send(both); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	a := w.warning("prepare", "raised")
	w.sounds(began)
	if v := send(both); v.Accepted {
		t.Errorf("obeyed twice: %+v", v)
	}
	w.halt()
	w.start()
	if got := w.warning("prepare", "raised"); got.ID != a.ID {
		t.Errorf("%+v", got)
	}
	if v := send(both); v.Accepted {
		t.Errorf("obeyed again after a cut: %+v", v)
	}
	// No configuration while a level stands: it waits for the all-clear.
	changed := strings.Replace(w.text, "gas.ch4, prepare: 20", "gas.ch4, prepare: 21", 1)
	w.write("next.yaml", changed)
	var said api.Text
	w.hand("/documents", "application/yaml", []byte(changed), &said)
	content := contentOf(changed)
	if v := send(sign(command.Payload{Scope: command.Configuration, Content: content}, first.key)); !v.Accepted || v.Outcome.Code == "station.document_applied" {
		t.Errorf("not kept for the all-clear: %+v", v)
	}
	time.Sleep(2 * calmLook)
	if b, err := os.ReadFile(filepath.Join(w.dir, "site.yaml")); err != nil || string(b) != w.text {
		t.Error("the configuration changed while a level stood")
	}
	if v := send(sign(command.Payload{Scope: command.Stop, Cause: a.ID}, first.key)); !v.Accepted {
		t.Fatalf("%+v", v)
	}
	if got := w.warning("", "released"); got.By == nil || got.By.Via != "command" {
		t.Errorf("%+v", got)
	}
	w.silent()
	w.until("the new file in force", func() bool {
		b, _ := os.ReadFile(filepath.Join(w.dir, "site.yaml"))
		return string(b) == changed && strings.Contains(w.log.String(), "reloaded")
	})
	if v := send(sign(command.Payload{Scope: command.Volume, Volume: 40}, second.key)); !v.Accepted {
		t.Errorf("%+v", v)
	}
}

func TestWhoFollowsTheBoxIsToldInSignedCAP(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	newOffice(t, w)
	w.start()
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.v.Gas.Set(gasEvacuate)
	w.raised("gas", "evacuate")
	w.v.Gas.Set(gasCalm)
	w.until("subsided", func() bool { x, ok := w.alarm("gas"); return ok && x.State == "subsided" })
	w.post("/alarms/"+a.ID+"/release", api.Reasoned{Who: "王", Reason: "通风"})
	types := func() (got []string) {
		b := w.bytes("/cap")
		var feed struct {
			Entries []struct {
				Link struct {
					Href string `xml:"href,attr"`
				} `xml:"link"`
			} `xml:"entry"`
		}
		if err := xml.Unmarshal(b, &feed); err != nil {
			t.Fatal(err)
		}
		for _, e := range feed.Entries {
			_, id, _ := strings.Cut(e.Link.Href, "/cap/")
			m := w.bytes("/cap/" + id)
			doc, err := xmldsig.Parse(m, xmldsig.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			sigs := doc.Verify(nil, xmldsig.Options{})
			if len(sigs) != 1 || sigs[0].Err != nil {
				t.Errorf("%s: %+v", id, sigs)
			}
			var one struct {
				MsgType string `xml:"msgType"`
			}
			if xml.Unmarshal(m, &one) == nil {
				got = append(got, one.MsgType)
			}
		}
		return got
	}
	w.until("Cancel, Update, Alert", func() bool { return strings.Join(types(), " ") == "Cancel Update Alert" })
	w.halt()
	w.start()
	w.until("kept over a restart", func() bool { return strings.Join(types(), " ") == "Cancel Update Alert" })
}

func (w *town) bytes(path string) []byte {
	w.t.Helper()
	r, err := w.client().Get("http://edged/api/v1" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s %v", path, r.Status, err)
	}
	return b
}

func contentOf(text string) *command.Content {
	sum := sha256.Sum256([]byte(text))
	return &command.Content{Name: "site.yaml", SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(text))}
}

func TestWhatTheBookRefusesIsNotPutAsideAsTaken(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	w.start()
	red := county.says(warning{})
	w.warnedBy(red)
	w.warning("evacuate", "raised")
	// Another message under the same name, signed by the same key.
	plain := regexp.MustCompile(`(?s)<(\w+:)?Signature .*</(\w+:)?Signature>`).ReplaceAll(red.text, nil)
	other, err := xmldsig.Sign(bytes.Replace(plain, []byte("请转移"), []byte("请留守"), 1), county.key, nil, xmldsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "drop", "other.xml"), other, 0o644); err != nil {
		t.Fatal(err)
	}
	w.until("it lies among the refused", func() bool {
		f, _ := filepath.Glob(filepath.Join(w.dir, "drop", "*", "*other.xml"))
		return len(f) == 1 && strings.Contains(f[0], "refused")
	})
}

func TestManyWarningsPushNoAlarmOfTheBoxAside(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, county := newOffice(t, w)
	w.start()
	for i := range 80 {
		w.warnedBy(county.says(warning{severity: "Moderate", headline: fmt.Sprint("山洪黄色预警", i)}))
	}
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.recorded("sounding.asked", a.ID)
	for _, r := range w.journal() {
		if r.Kind == "sounding.overflow" {
			t.Fatalf("%s was pushed aside", r.Cause)
		}
	}
}
