package main

import (
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

func TestTheDaemonReadsItsOwnCommandLineAndLeavesAllElseToTheDesk(t *testing.T) {
	env := func(of map[string]string) func(string) string { return func(k string) string { return of[k] } }
	def := line{socket: "/run/tocsin/edged.sock", data: "/var/lib/tocsin", log: "text", config: "/s.yaml"}
	with := func(f func(*line)) line { l := def; f(&l); return l }
	for _, c := range []struct {
		in   string
		env  map[string]string
		want line
	}{
		{"run -c /s.yaml", nil, def},
		{"run --config=/s.yaml --data /var/lib/tocsin", nil, def},
		{"--socket /t --lang=en run -c /a/../s.yaml --listen off --bench=/b --log json", nil,
			with(func(l *line) { l.socket, l.lang, l.listen, l.bench, l.log = "/t", "en", "off", "/b", "json" })},
		{"run -c /s.yaml --socket=/t", map[string]string{"EDGED_SOCKET": "/e", "EDGED_LANG": "zh"}, with(func(l *line) { l.socket, l.lang = "/t", "zh" })},
		{"run -c /s.yaml", map[string]string{"EDGED_SOCKET": "/e"}, with(func(l *line) { l.socket = "/e" })},
		{"run --listen= -c=/s.yaml", nil, def},
	} {
		if got, ok := parse(strings.Fields(c.in), env(c.env)); !ok || got != c.want {
			t.Errorf("%q: %v %+v", c.in, ok, got)
		}
	}
	for _, in := range []string{"", "status", "run", "run --help", "run -h", "run -c", "run -c /s.yaml extra", "run run -c /s.yaml", "run -c /s.yaml --log xml", "--lang fr run -c /s.yaml",
		"run -c ~/s.yaml", "run -c /s.yaml --bogus 1", "-c /s.yaml run", "stop --who run", "run --data -c /s.yaml", "run -c= --data /d"} {
		if got, ok := parse(strings.Fields(in), env(nil)); ok {
			t.Errorf("%q was read as %+v", in, got)
		}
	}
}

func TestTheDaemonSpeaksTheReadersLanguage(t *testing.T) {
	t.Setenv("EDGED_LANG", "en")
	if got := (line{}).said(); got != phrase.EN {
		t.Error(got)
	}
	if got := (line{lang: "zh"}).said(); got != phrase.ZH {
		t.Error(got)
	}
}
