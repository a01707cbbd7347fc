package config

import (
	"strings"
	"testing"
)

func TestASecretIsFoundHoweverItStandsInADocumentAndAFilesNameIsNone(t *testing.T) {
	t.Parallel()
	for text, hidden := range map[string]string{
		"pull: rtsp://admin:Sea-77@10.0.0.9/1":      "pull: rtsp://***@10.0.0.9/1",
		"pull: \"rtsp://admin@10.0.0.9/1\"":         "pull: \"rtsp://***@10.0.0.9/1\"",
		"url: https://a.example/cap?x=1&token=abc":  "url: https://a.example/cap?x=1&token=***",
		"mqtt: {p: {user: box, password: hunter2}}": "mqtt: {p: {user: box, password: ***}}",
		"  token: \"two words\" # why":              "  token: \"***\" # why",
		"  psk: 'x y'":                              "  psk: '***'",
		"key: |\n  -----BEGIN PRIVATE KEY-----\n  MIIE\n  -----END PRIVATE KEY-----\nx: 1": "key: |\n  ***\nx: 1",
		// None.
		"password: secrets/mqtt":                          "",
		"seed: box.nk":                                    "",
		"inputs:\n  key:    {input: relay.in2}\n":         "",
		"url: https://a.example/cap?x=1":                  "",
		"name: {zh: 密码：见柜门}":                              "",
		"certificate_key: /etc/tocsin/box.key":            "",
		"file: -----BEGIN PUBLIC KEY-----\nMII\n-----END": "",
	} {
		if hidden == "" {
			hidden = text
		}
		if got := Hide(text); got != hidden {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzHide(f *testing.F) {
	f.Add("pull: rtsp://a:b@c/ password: x, token: 'y'", "Sea-77")
	f.Fuzz(func(t *testing.T, text, secret string) {
		last := 0
		for _, x := range Secrets(text) {
			if x[0] < last || x[1] <= x[0] || x[1] > len(text) {
				t.Fatalf("%q: %v", text, x)
			}
			last = x[1]
		}
		back := map[string]string{}
		hidden := HideWith(text, func(s string) string { p := "\x00" + string(rune('a'+len(back))) + "\x00"; back[p] = s; return p })
		for p, s := range back {
			hidden = strings.Replace(hidden, p, s, 1)
		}
		if !strings.Contains(text, "\x00") && len(back) < 26 && hidden != text {
			t.Fatalf("%q came back as %q", text, hidden)
		}
	})
}
