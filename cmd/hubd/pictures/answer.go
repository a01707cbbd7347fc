package pictures

import (
	"encoding/json"
	"net/http"

	"tocsin/firmware/phrase"
)

// problem is what a program and a person are told (RFC 9457).
type problem struct {
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail phrase.Message `json:"detail"`
	// As the console reads refusals everywhere.
	Code string `json:"code"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

// fail tells both languages at once: a station's log and a page may want either.
func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	zh, en := phrase.In(err, phrase.ZH), phrase.In(err, phrase.EN)
	_ = json.NewEncoder(w).Encode(problem{Title: zh + " · " + en, Status: status, Detail: phrase.Of(err), Code: phrase.Of(err).Code, ZH: zh, EN: en})
}
