// Package configs holds the data that the firmware ships with: profiles, terminals, plans, alert tables,
// levels, tones, clips, bounds, example sites. A file of the same name beside a
// site's document comes before the one in here.
package configs

import "embed"

// FS is everything that is compiled in.
//
//go:embed *.yaml alerts/*.yaml plans/*.yaml profiles/*.yaml terminals/*.yaml clips/*.wav clips/clips.yaml
var FS embed.FS
