package station

import (
	"encoding/json"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/broker"
)

func TestAPlatformIsToldReadingsAndAlarmsAndNothingComesIn(t *testing.T) {
	t.Parallel()
	b, err := broker.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Die()
	w := newTown(t)
	w.text = strings.Replace(w.text, "page:", "mqtt: {home: {server: \""+b.Addr+"\", plain: true, every: 1s, discovery: homeassistant}}\npage:", 1)
	w.write("site.yaml", w.text)
	w.start()
	const base = "tocsin/441882103201/"
	has := func(topic string, ok func(m map[string]any) bool) func() bool {
		return func() bool {
			var m map[string]any
			return json.Unmarshal([]byte(b.Retained()[base+topic]), &m) == nil && ok(m)
		}
	}
	w.until("the box is online", func() bool { return b.Retained()[base+"status"] == "online" })
	w.until("the state", has("state", func(m map[string]any) bool { return m["armed"] == true && m["level"] == "" }))
	w.until("a reading", has("points/gas/ch4", func(m map[string]any) bool { return m["quality"] == "good" && m["value"] != nil }))
	w.until("discovery", func() (found bool) {
		for topic, body := range b.Retained() {
			if strings.HasPrefix(topic, "homeassistant/sensor/tocsin_") && strings.HasSuffix(topic, "/config") {
				found = true
				var c struct {
					State string `json:"state_topic"`
				}
				if json.Unmarshal([]byte(body), &c) != nil || !strings.HasPrefix(c.State, base+"points/") {
					t.Errorf("%s: %s", topic, body)
				}
			}
		}
		return found
	})
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.until("the alarm", has("alarms/gas", func(m map[string]any) bool { return m["level"] == "prepare" && m["id"] == a.ID }))
	b.Die()
	w.until("the platform as a fault", func() bool { f, there := w.fault("mqtt home"); return there && f.Why.Code == "mqtt.down" })
	w.post("/alarms/"+a.ID+"/acknowledge", map[string]string{"who": "王建国"})
	b.Forget()
	if err := b.Listen(b.Addr); err != nil {
		t.Fatal(err)
	}
	w.until("all of it again", has("alarms/gas", func(m map[string]any) bool { return m["state"] == "acknowledged" }))
	w.until("readings again", has("points/gas/ch4", func(m map[string]any) bool { return m["value"] != nil }))
	var ps []api.Platform
	if err := w.get("/platforms", &ps); err != nil || len(ps) != 1 || !ps[0].Up || ps[0].Told == 0 {
		t.Errorf("%v %+v", err, ps)
	}
	var ts api.Times
	if err := w.get("/time", &ts); err != nil || ts.Sources == nil {
		t.Errorf("%v %+v", err, ts)
	}
	if b.Subscriptions() != 0 {
		t.Error("the box subscribes")
	}
	w.halt()
	w.until("offline", func() bool { return b.Retained()[base+"status"] == "offline" })
	for _, wrong := range b.Wrong() {
		t.Error(wrong)
	}
}

func TestAPlatformsKeysAreProved(t *testing.T) {
	t.Parallel()
	site := func(mqtt string) string {
		return "version: 1\nsite: {id: \"441882103201\", name: {zh: 黄渡村}}\nmqtt: {home: " + mqtt + "}\n"
	}
	for _, c := range []struct{ mqtt, code string }{
		{`{server: "a:1883", plain: true}`, "site.mqtt_plain"},
		{`{server: "127.0.0.1:1883", plain: true}`, ""},
		{`{server: "a:8883"}`, ""},
		{`{server: "a"}`, "site.mqtt_server"},
		{`{server: "a:8883", password: p}`, "site.mqtt_user"},
		{`{server: "a:8883", user: u, password: missing}`, "site.secret_missing"},
		{`{server: "a:8883", ca: missing.pem}`, "site.secret_missing"},
		{`{server: "a:8883", plain: true, ca: x.pem}`, "site.mqtt_plain_tls"},
		{`{server: "a:8883", certificate: x.pem}`, "site.link_pair"},
		{`{server: "a:8883", prefix: "a/#"}`, "site.mqtt_prefix"},
		{`{server: "a:8883", every: 10ms}`, "site.mqtt_every"},
		{`{server: "a:8883", device: "eth 0"}`, "site.link_device"},
	} {
		_, ps := prove(t, site(c.mqtt))
		got := ""
		for _, p := range ps {
			if strings.HasPrefix(p.Message.Code, "site.mqtt") || strings.HasPrefix(p.Message.Code, "site.secret") || strings.HasPrefix(p.Message.Code, "site.link") {
				got = p.Message.Code
				if s := p.In(phrase.ZH); strings.Contains(s, "{") {
					t.Errorf("%s: %s", c.mqtt, s)
				}
			}
		}
		if got != c.code {
			t.Errorf("%s: %q, want %q", c.mqtt, got, c.code)
		}
	}
}

func TestTheSourcesOfTimeAreProved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ time, code string }{
		{`{ntp: [ntp.example.cn, "10.0.0.1:1123", "2001:db8::1"], pps: /dev/pps0, rtc: /dev/rtc0, set: true}`, ""},
		{`{ntp: [a, b]}`, "site.time_two"},
		{`{ntp: [a, a, b]}`, "site.time_twice"},
		{`{ntp: ["a b"]}`, "site.time_server"},
		{`{ntp: ["a:99999"]}`, "site.time_server"},
		{`{ntp: [a, b, c, d, e, f, g, h, i]}`, "site.time_many"},
		{`{pps: /dev/ttyS0}`, "site.time_device"},
		{`{rtc: rtc0}`, "site.time_device"},
	} {
		_, ps := prove(t, "version: 1\nsite: {id: \"441882103201\", name: {zh: 黄渡村}}\ntime: "+c.time+"\n")
		got := ""
		for _, p := range ps {
			if strings.HasPrefix(p.Message.Code, "site.time") {
				got = p.Message.Code
			}
		}
		if got != c.code {
			t.Errorf("%s: %q, want %q", c.time, got, c.code)
		}
	}
}
