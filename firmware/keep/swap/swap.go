package swap

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"tocsin/firmware/phrase"
)

// Bounds.
const (
	Most      = 4 << 20 // of a sealed file
	MostParts = 256
	MostPart  = 1 << 20
	// LeastRunes of a passphrase: who has the file tries as often as he likes.
	LeastRunes = 12
	mostRunes  = 128
)

// The head, and what the key is drawn by: as a sign-in's password, but with more passes, since
// nothing slows down who has the file.
const (
	head     = "tocsin-sealed 1\n"
	saltSize = 16
	memory   = 19 << 10 // KiB
	passes   = 8
	lanes    = 1
)

// Where a part belongs.
const (
	Site = "site" // beside the site's file
	Data = "data" // in the data directory
)

// Part is one file.
type Part struct {
	Place  string `json:"place"`
	Name   string `json:"name"`
	Secret bool   `json:"secret,omitempty"`
	Bytes  []byte `json:"bytes"`
}

// Content is what is sealed.
type Content struct {
	Version int `json:"version"`
	// Site is the station's code, Made when it was sealed by the box's clock.
	Site string    `json:"site"`
	Made time.Time `json:"made"`
	// Document is the site's file.
	Document string `json:"document"`
	Parts    []Part `json:"parts"`
}

// One key is drawn at a time: a board of 512 MiB has no room for more.
var drawing sync.Mutex

func key(passphrase string, salt []byte) []byte {
	drawing.Lock()
	defer drawing.Unlock()
	return argon2.IDKey([]byte(norm.NFKC.String(passphrase)), salt, passes, memory, lanes, 32)
}

func aead(passphrase string, salt []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key(passphrase, salt))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// Fits tells what is wrong with a passphrase's length, nil for nothing.
func Fits(passphrase string) error {
	if n := utf8.RuneCountInString(passphrase); n < LeastRunes || n > mostRunes || !utf8.ValidString(passphrase) {
		return phrase.E("sealed.passphrase", "least", LeastRunes, "most", mostRunes)
	}
	return nil
}

// Seal makes the file.
func Seal(passphrase string, c Content) ([]byte, error) {
	if err := Fits(passphrase); err != nil {
		return nil, err
	}
	c.Version = 1
	if err := c.good(); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, phrase.Wrap(err, "sealed.content", "detail", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails (crypto/rand, Go 1.24)
	a, err := aead(passphrase, salt)
	if err != nil {
		return nil, phrase.Wrap(err, "sealed.content", "detail", err)
	}
	out := append([]byte(head), salt...)
	out = a.Seal(out, make([]byte, a.NonceSize()), plain, out)
	if len(out) > Most {
		return nil, phrase.E("sealed.large", "most", Most>>20)
	}
	return out, nil
}

// Open opens one.
func Open(passphrase string, b []byte) (Content, error) {
	switch {
	case len(b) > Most:
		return Content{}, phrase.E("sealed.large", "most", Most>>20)
	case len(b) < len(head)+saltSize || !bytes.HasPrefix(b, []byte(head)):
		return Content{}, phrase.E("sealed.form")
	}
	if err := Fits(passphrase); err != nil {
		return Content{}, err
	}
	n := len(head) + saltSize
	a, err := aead(passphrase, b[len(head):n])
	if err != nil {
		return Content{}, phrase.Wrap(err, "sealed.content", "detail", err)
	}
	plain, err := a.Open(nil, make([]byte, a.NonceSize()), b[n:], b[:n:n])
	if err != nil {
		return Content{}, phrase.E("sealed.wrong")
	}
	return read(plain)
}

// read reads what was sealed; who knew the passphrase may still have been somebody else.
func read(plain []byte) (Content, error) {
	var c Content
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.Version != 1 {
		return Content{}, phrase.E("sealed.content", "detail", "version: 1")
	}
	return c, c.good()
}

func (c *Content) good() error {
	if len(c.Document) == 0 || len(c.Document) > MostPart || !utf8.ValidString(c.Document) || len(c.Parts) > MostParts || len(c.Site) > 64 {
		return phrase.E("sealed.content", "detail", "document, parts")
	}
	seen := map[string]bool{}
	for _, p := range c.Parts {
		if id := p.Place + ":" + p.Name; len(p.Bytes) > MostPart || p.Place != Site && p.Place != Data || !Plain(p.Name) || seen[id] {
			return phrase.E("sealed.part", "name", p.Name)
		} else {
			seen[id] = true
		}
	}
	return nil
}

// Plain tells whether a name is a plain relative one: no way out of its folder, nothing hidden.
func Plain(name string) bool {
	if name == "" || len(name) > 200 || !utf8.ValidString(name) || path.IsAbs(name) || path.Clean(name) != name || strings.ContainsAny(name, "\\:\x00\r\n") {
		return false
	}
	parts := strings.Split(name, "/")
	return len(parts) <= 4 && !slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, ".") })
}
