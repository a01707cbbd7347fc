package main

import (
	"os"
	"path/filepath"
	"strings"

	"tocsin/firmware/phrase"
)

// line is the command line of edged run.
type line struct{ socket, lang, config, data, listen, bench, log string }

// parse reads the command line of edged run. What it does not understand whole (another
// command, a mistake, a request for help) is for edged-desk, which knows all of them and
// says what is wrong; a run that it understands comes back here in long form (RunCmd).
func parse(args []string, env func(string) string) (l line, ok bool) {
	l = line{socket: "/run/tocsin/edged.sock", lang: env("EDGED_LANG"), data: "/var/lib/tocsin", log: "text"}
	if v := env("EDGED_SOCKET"); v != "" {
		l.socket = v
	}
	runs := false
	for len(args) > 0 {
		name, value, has := strings.Cut(args[0], "=")
		to, path := l.flag(name)
		switch {
		case args[0] == "run" && !runs:
			runs, args = true, args[1:]
			continue
		case to == nil:
			return l, false
		case !runs && name != "--socket" && name != "--lang":
			return l, false
		}
		if args = args[1:]; !has {
			if len(args) == 0 || strings.HasPrefix(args[0], "-") {
				return l, false
			}
			value, args = args[0], args[1:]
		}
		if path {
			if value == "" || strings.HasPrefix(value, "~") {
				return l, false
			}
			abs, err := filepath.Abs(value)
			if err != nil {
				return l, false
			}
			value = abs
		}
		*to = value
	}
	return l, runs && l.config != "" && (l.lang == "" || l.lang == "zh" || l.lang == "en") && (l.log == "text" || l.log == "json")
}

// flag gives where a flag's value goes, and whether it is a path.
func (l *line) flag(name string) (to *string, path bool) {
	switch name {
	case "--socket":
		return &l.socket, false
	case "--lang":
		return &l.lang, false
	case "--config", "-c":
		return &l.config, true
	case "--data":
		return &l.data, true
	case "--listen":
		return &l.listen, false
	case "--bench":
		return &l.bench, true
	case "--log":
		return &l.log, false
	}
	return nil, false
}

// said is the language in which the daemon speaks to whoever started it.
func (l line) said() phrase.Lang {
	switch l.lang {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	return phrase.OfEnvironment(os.Getenv)
}
