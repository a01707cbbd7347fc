package edit

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// What an Edit does.
const (
	Set    = "set"
	Remove = "remove"
)

// Bounds of what is asked at once. Each edit reads the document anew, so the work is their
// product.
const (
	MostEdits = 64
	MostWork  = 8 << 20
	mostDepth = 32
	mostValue = 64 << 10
)

// Edit is one change of one place.
type Edit struct {
	Op string
	// Path is a JSON Pointer: /devices/rain/unit, /rules/flash-flood/any_of/-.
	Path string
	// Value is what stands there then, as JSON; the order of its keys is kept.
	Value json.RawMessage
}

// Apply makes the edits one after another and gives the new document. Its errors are
// *phrase.Error with the place.
func Apply(document []byte, edits []Edit) ([]byte, error) {
	if len(edits) == 0 || len(edits) > MostEdits || len(document)*len(edits) > MostWork {
		return nil, phrase.E("edit.many", "most", MostEdits)
	}
	if !utf8.Valid(document) {
		return nil, phrase.E("edit.unreadable", "line", 1, "detail", "UTF-8")
	}
	// The reader counts the lines of Windows otherwise; where all are such, they become
	// plain ones meanwhile.
	windows := bytes.Contains(document, []byte("\r\n")) && bytes.Count(document, []byte("\r\n")) == bytes.Count(document, []byte("\n"))
	if windows {
		document = bytes.ReplaceAll(document, []byte("\r\n"), []byte("\n"))
	}
	if i := bytes.IndexByte(document, '\r'); i >= 0 {
		return nil, phrase.E("edit.by_hand", "path", "/", "line", 1+bytes.Count(document[:i], []byte("\n")))
	}
	for _, e := range edits {
		var err error
		if document, err = apply(document, e); err != nil {
			return nil, err
		}
	}
	if windows {
		document = bytes.ReplaceAll(document, []byte("\n"), []byte("\r\n"))
	}
	return document, nil
}

func apply(document []byte, e Edit) ([]byte, error) {
	path, err := parts(e.Path)
	if err != nil {
		return nil, err
	}
	d, err := read(document)
	if err != nil {
		return nil, err
	}
	if d.root == nil { // only comments, or nothing: begin a document
		d.root = &node{kind: none, from: len(document), to: len(document), end: len(document)}
	}
	var want *value
	var out []byte
	switch e.Op {
	case Set:
		if len(e.Value) > mostValue {
			return nil, phrase.E("edit.value", "path", e.Path)
		}
		v, err := fromJSON(e.Value)
		if err != nil {
			return nil, phrase.Wrap(err, "edit.value", "path", e.Path)
		}
		if out, err = d.set(path, v); err != nil {
			return nil, err
		}
		want, err = d.meaning.with(path, v)
		if err != nil {
			return nil, phrase.Wrap(err, "edit.no_place", "path", e.Path)
		}
	case Remove:
		if out, err = d.remove(path); err != nil {
			return nil, err
		}
		if want, err = d.meaning.without(path); err != nil {
			return nil, phrase.Wrap(err, "edit.no_place", "path", e.Path)
		}
	default:
		return nil, phrase.E("edit.op", "op", e.Op)
	}
	if got, err := mean(out); err != nil || !got.same(want) {
		return nil, phrase.E("edit.by_hand", "path", e.Path, "line", d.lineOf(path))
	}
	return out, nil
}

// parts splits a pointer (RFC 6901).
func parts(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") || len(pointer) > 1024 || !utf8.ValidString(pointer) {
		return nil, phrase.E("edit.path", "path", pointer)
	}
	l := strings.Split(pointer[1:], "/")
	if len(l) > mostDepth {
		return nil, phrase.E("edit.path", "path", pointer)
	}
	for i, p := range l {
		if p == "" || strings.ContainsAny(p, "\r\n\t\x00") {
			return nil, phrase.E("edit.path", "path", pointer)
		}
		l[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return l, nil
}

// index reads a list's part; -1 is “-”, its end.
func index(part string) (int, bool) {
	if part == "-" {
		return -1, true
	}
	n, err := strconv.Atoi(part)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == part
}

func splice(b []byte, from, to int, with string) []byte {
	return bytes.Join([][]byte{b[:from], []byte(with), b[to:]}, nil)
}
