package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"
)

func unpack(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		out[h.Name] = string(text)
	}
}

func TestNoSecretIsInABundleHoweverItIsWritten(t *testing.T) {
	key := bytes.Repeat([]byte{0x5A, 0x13, 0xC7, 0x99}, 8)
	files := map[string][]byte{
		"a root in hex":     []byte(hex.EncodeToString(key) + "\n"),
		"a password":        []byte("s3cr3t Päss&word\n"),
		"user and password": []byte("view:hunter2-hunter2\n"),
		"a stop token":      []byte("ACDEF34679"),
		"a seed":            []byte("SUAMK2FG4MI6UE3ACF3FK3OIQBCEIEZV7NSWFFEW63UXMRLFM2XLAXK4GY"),
		"a private key":     []byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"),
		"accounts":          []byte(`[{"name":"wang","hash":"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"}]`),
	}
	var all [][]byte
	for _, b := range files {
		all = append(all, b)
	}
	s := NewScrubber(all)
	for name, b := range files {
		w := strings.TrimSpace(string(b))
		for _, text := range []string{
			"x " + w + " y", "json \"" + strings.ReplaceAll(w, "\n", `\n`) + "\"", base64.StdEncoding.EncodeToString([]byte(w)), base64.RawURLEncoding.EncodeToString([]byte(w)),
			hex.EncodeToString([]byte(w)), "?q=" + url.QueryEscape(w),
		} {
			b, err := Pack("b", time.Time{}, []Part{{Name: "t.txt", Text: text}}, s)
			if err != nil {
				t.Fatal(err)
			}
			got := unpack(t, b)["b/t.txt"]
			for _, line := range strings.Split(w, "\n") {
				if !strings.HasPrefix(line, "-----") && strings.Contains(got, line) && name != "accounts" {
					t.Errorf("%s: %q leaves %q", name, text, got)
				}
			}
			if strings.Contains(got, "argon2id$v") || strings.Contains(got, "MC4CAQ") {
				t.Errorf("%s: %q leaves %q", name, text, got)
			}
		}
	}
	for text, want := range map[string]string{
		"token ACDEF-34679 acdef 34679":              "token [removed] [removed]",
		hex.EncodeToString(key):                      "[removed]",
		base64.StdEncoding.EncodeToString(key):       "[removed]",
		`pull: "rtsp://view:pa55@10.0.0.9/main?x=1"`: `pull: "rtsp://[removed]@10.0.0.9/main?x=1"`,
		"rtmp://box/live/drone?key=abcdefgh&x=1":     "rtmp://box/live/drone?key=[removed]&x=1",
		"password: hunter2, user: a":                 "password: [removed], user: a",
		`{"token": "abc", "b": 1}`:                   `{"token": [removed], "b": 1}`,
		"Authorization: Bearer abcdef0123456":        "Authorization: Bearer [removed]",
		"河道水位 101.20 m, unit 2, line west":           "河道水位 101.20 m, unit 2, line west",
		"people: {number: 13800001111}":              "people: {number: 13800001111}",
	} {
		if got := s.Scrub(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestABundleIsBoundedAndSaysWhatIsLeftOut(t *testing.T) {
	s := NewScrubber(nil)
	long := strings.Repeat("0123456789abcde\n", MostPart/16+1000)
	var parts []Part
	for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
		parts = append(parts, Part{Name: n, Text: long + n, Tail: true})
	}
	b, err := Pack("x", time.Time{}, parts, s)
	if err != nil {
		t.Fatal(err)
	}
	got, n := unpack(t, b), 0
	for _, text := range got {
		n += len(text)
	}
	if n > Most+1024 || !strings.Contains(got["x/left-out.txt"], "f: ") || !strings.HasSuffix(got["x/a"], "\na") {
		t.Errorf("%d bytes; left out: %s", n, got["x/left-out.txt"])
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("x ACDEF-34679 y", "ACDEF34679")
	f.Add("https://a:b@c/?key=1", "hunter2-hunter2")
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < leastSecret || len(secret) > 200 || strings.TrimSpace(secret) != secret || strings.Contains(Removed, secret) || strings.ContainsAny(secret, "[]{}\n\r") {
			return
		}
		got := NewScrubber([][]byte{[]byte(secret)}).Scrub(text + secret + text)
		// What is put in a secret's place may make it anew with what stands beside it only
		// where it looks like that mark itself.
		if strings.Contains(got, secret) && !strings.Contains(secret, "removed") {
			t.Errorf("%q is left in %q", secret, got)
		}
	})
}
