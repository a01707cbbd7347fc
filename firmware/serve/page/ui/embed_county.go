package ui

import (
	"embed"
	"net/http"
)

//go:embed dist/county
var county embed.FS

// County serves the county's console below a path such as /console/.
func County(at string) http.Handler { return Serve(at, built(county, "dist/county")) }
