package hubfile

import (
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Match lists the stations that an area names: a station's own id, or a division
// code (2 to 12 digits) that covers one of its codes or is covered by it: a
// station that warns a whole county also warns each of its towns.
func (f *File) Match(area string) ([]letter.Station, error) {
	if _, ok := f.Stations[area]; ok && strings.Contains(area, "-") {
		return []letter.Station{letter.Station(area)}, nil
	}
	if !code(area) {
		return nil, phrase.E("hubd.area", "area", clip(area))
	}
	want := level(area)
	var found []letter.Station
	for _, id := range f.Order() {
		for _, c := range append([]string{letter.Station(id).Code()}, f.Stations[id].Also...) {
			c = level(c)
			if strings.HasPrefix(c, want) || strings.HasPrefix(want, c) {
				found = append(found, letter.Station(id))
				break
			}
		}
	}
	if len(found) == 0 {
		return nil, phrase.E("hubd.area_empty", "area", area)
	}
	return found, nil
}

// level cuts a code to the level that it names: zeros at its end stand for
// everything below (GB/T 2260; towns and villages have three digits each).
func level(c string) string {
	for _, n := range []int{9, 6, 4, 2} {
		if len(c) > n && strings.Trim(c[n:], "0") == "" {
			c = c[:n]
		}
	}
	return c
}
