package main

import (
	"strings"
	"testing"
)

func TestAPersonsNameAndKeyAreTakenOfTheCard(t *testing.T) {
	made := apSecret{SSID: "tocsin-1a2b", Key: "madebychance"}
	for name, c := range map[string]struct {
		text string
		want apSecret
		code string
	}{
		"both, as Windows writes":       {"\ufeffname: 黄渡\r\nkey: correct horse\r\n", apSecret{"黄渡", "correct horse"}, ""},
		"the key alone":                 {"key:12345678", apSecret{"tocsin-1a2b", "12345678"}, ""},
		"a key that is too short":       {"name: a\nkey: 1234567\n", apSecret{"a", "madebychance"}, ""},
		"no key is no open network":     {"key:\n", made, ""},
		"a name that is too long":       {"name: " + strings.Repeat("x", 33), made, ""},
		"what would end hostapd's line": {"key: 12345678\x00wpa=0", made, ""},
		"a set-up code":                 {"code: k7pqr-2mnxy\n", made, "K7PQR2MNXY"},
		"no set-up code":                {"code: 1234\n", made, ""},
		"something else":                {"\x00\xff nonsense", made, ""},
	} {
		if got, code := preset([]byte(c.text), made); got != c.want || code != c.code {
			t.Errorf("%s: %+v %q", name, got, code)
		}
	}
}

func TestKeysThatAreMadeAreNoTwoAlike(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		k := chance("23456789abcdefghjkmnpqrstuvwxyz", 12)
		if len(k) != 12 || seen[k] {
			t.Fatal(k)
		}
		seen[k] = true
	}
}
