package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Each argument is whole in itself, which is the form that edged reads without a table.
func TestARunThatCameToTheDeskGoesBackInLongForm(t *testing.T) {
	var x cli
	k, err := kong.New(&x, kong.Name("edged"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse(strings.Fields("--lang en run -c/s.yaml --listen off --socket /t")); err != nil {
		t.Fatal(err)
	}
	want := strings.Fields("edged --socket=/t --lang=en run --config=/s.yaml --data=/var/lib/tocsin --log=text --listen=off")
	if got := x.Run.args(&x.Globals); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
