package rtmp

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestAMFIsReadAsItWasWritten(t *testing.T) {
	in := []any{"connect", 1.0, nil, true, object{{"app", "live"}, {"list", []any{"avc1", 2.5, nil}}, {"o", object{}}}, strings.Repeat("x", 70_000)}
	out, err := decodeAMF(appendAMF(nil, in...))
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Fatalf("%v, %v", out, err)
	}
}

func TestAMFOfOtherKindsIsUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		b    string
		want any
	}{
		"ECMA array, its count wrong": {"\x08\x00\x00\x00\x63\x00\x01a\x01\x01\x00\x00\x09", object{{"a", true}}},
		"typed object":                {"\x10\x00\x01T\x00\x01a\x02\x00\x01b\x00\x00\x09", object{{"a", "b"}}},
		"date":                        {"\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", nil},
		"undefined":                   {"\x06", nil},
		"reference":                   {"\x07\x00\x01", nil},
		"long string":                 {"\x0c\x00\x00\x00\x01z", "z"},
	} {
		if v, err := decodeAMF([]byte(c.b)); err != nil || len(v) != 1 || !reflect.DeepEqual(v[0], c.want) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

func TestAMFIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nested":      {bytes.Repeat([]byte("\x0a\x00\x00\x00\x01"), 1000), errAMFMuch},
		"objects":     {bytes.Repeat([]byte("\x03\x00\x01a"), 1000), errAMFMuch},
		"many":        {bytes.Repeat([]byte{amfNull}, amfValues+1), errAMFMuch},
		"a huge list": {[]byte("\x0a\xff\xff\xff\xff"), errAMFMuch},
		"a long lie":  {[]byte("\x0c\xff\xff\xff\xffabc"), errAMFShort},
		"a short lie": {[]byte("\x02\x00\x05abc"), errAMFShort},
		"no end":      {[]byte("\x03\x00\x00\x05"), errAMFEnd},
		"AMF 3":       {[]byte("\x11\x01"), errAMFMarker},
	} {
		if _, err := decodeAMF(c.b); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
