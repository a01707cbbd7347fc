package apitest

import (
	"context"

	"tocsin/firmware/serve/api"
)

// Logs gives one line.
func (b *Box) Logs(int64, string, int) []api.LogLine {
	return []api.LogLine{{Seq: 1, At: At, Level: "warn", Text: "no answer line=west unit=2"}}
}

// Bundle gives an empty one.
func (b *Box) Bundle(context.Context) (api.Paper, error) {
	return api.Paper{Media: "application/gzip", Name: "bundle.tar.gz"}, b.Err
}
