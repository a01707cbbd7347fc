package api_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"tocsin/firmware/serve/api"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// TestTheCommittedDocumentIsTheServedOne: the console's types are made from the file, so
// that a drift would be a page that asks for what the box no longer says.
func TestTheCommittedDocumentIsTheServedOne(t *testing.T) {
	want, err := api.OpenAPI("1")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("openapi.json is not what the API is now: run make openapi")
	}
}
