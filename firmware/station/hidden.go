package station

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sync"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

// A secret that somebody wrote into the site's file does not leave the box: a place-holder goes out
// in its place, with the text, the difference and the export, and what comes back with it means the
// secret again. Place-holders are of this run alone; they tell nothing about the secret.
type hidden struct {
	mu    sync.Mutex
	key   []byte
	known map[string]string // secret, by its place-holder
}

// hiddenMost bounds the secrets that are remembered.
const hiddenMost = 512

var placeholder = regexp.MustCompile(`hidden-[0-9a-f]{16}`)

// hide gives a text with place-holders.
func (x *hidden) hide(text string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.key == nil {
		x.key, x.known = make([]byte, 32), map[string]string{}
		rand.Read(x.key) // never fails (crypto/rand, Go 1.24)
	}
	return config.HideWith(text, func(secret string) string {
		if _, already := x.known[secret]; already {
			return secret // a place-holder that came back
		}
		h := hmac.New(sha256.New, x.key)
		h.Write([]byte(secret))
		p := "hidden-" + hex.EncodeToString(h.Sum(nil)[:8])
		if len(x.known) < hiddenMost {
			x.known[p] = secret
		}
		return p
	})
}

// show gives a text with the secrets again.
func (x *hidden) show(text string) (string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	unknown := ""
	text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
		s, ok := x.known[p]
		if !ok {
			unknown = p
		}
		return s
	})
	if unknown != "" {
		return "", phrase.E("station.hidden_unknown", "what", unknown)
	}
	return text, nil
}
