package phrase

import "strings"

// OfEnvironment gives the language that a person's shell asks for: EDGED_LANG, then the
// usual variables (locale(7)), then Chinese.
func OfEnvironment(get func(string) string) Lang {
	for _, name := range []string{"EDGED_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		v := strings.ToLower(get(name))
		switch {
		case strings.HasPrefix(v, "zh"):
			return ZH
		case strings.HasPrefix(v, "en"):
			return EN
		}
	}
	return ZH
}
