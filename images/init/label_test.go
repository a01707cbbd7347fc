package main

import (
	"strings"
	"testing"
)

func TestAPersonsFileOnTheCardIsReadAsPeopleWriteIt(t *testing.T) {
	want := apSecret{"黄渡-07", "kites-over"}
	wide := func(s string, first, second int) []byte {
		out := []byte{[]byte{0xff, 0xfe}[first], []byte{0xff, 0xfe}[second]}
		for _, r := range s {
			b := []byte{byte(r), byte(r >> 8)}
			out = append(out, b[first], b[second])
		}
		return out
	}
	const text = "name: 黄渡-07\r\nkey: kites-over\r\ncode: K7PQR-4MNXY\r\n"
	for name, b := range map[string][]byte{
		"plain":                   []byte(text),
		"with a mark":             []byte("\ufeff" + text),
		"UTF-16 of Windows":       wide(text, 0, 1),
		"UTF-16, big end first":   wide(text, 1, 0),
		"a Chinese keyboard":      []byte("ｎａｍｅ：黄渡-07\nkey：ｋｉｔｅｓ－ｏｖｅｒ\ncode：ｋ７ｐｑｒ　４ＭＮＸＹ"),
		"other order and remarks": []byte("# 1\n\ncode: k7pqr4mnxy\nKey:kites-over\nNAME : 黄渡-07"),
	} {
		if s, code, line := preset(b); s != want || code != "K7PQR4MNXY" || line != 0 {
			t.Errorf("%s: %+v %q, line %d", name, s, code, line)
		}
	}
}

func TestAFileThatIsNotAsItShouldBeIsRefusedWhole(t *testing.T) {
	for text, at := range map[string]int{
		"": 1,
		"name: a\nkey: 1234567\ncode: K7PQR4MNXY":  2,
		"name: a\nkey: 12345678":                   2,
		"name: a\nkey: 12345678\ncode: K7PQR2MNXY": 3, // a 2 is in no code
		"name: a\nname: b\nkey: 12345678":          2,
		"name: " + strings.Repeat("x", 33):         1,
		"name: a\nkey: 1234\x005678":               2,
		"\x00\xff nonsense":                        1,
		"key:":                                     1,
		"name: a\nkey: 12345678\nwifi: K7PQR4MNXY": 3,
	} {
		if s, code, line := preset([]byte(text)); line != at || s != (apSecret{}) || code != "" {
			t.Errorf("%q: line %d, not %d: %+v", text, line, at, s)
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
