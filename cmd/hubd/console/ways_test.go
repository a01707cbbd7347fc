package console

import (
	"slices"
	"testing"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/drivers"
	"tocsin/firmware/reach/letter"
)

func TestTheDeskIsToldWhatGoesByWhichLinkAndWhatCannot(t *testing.T) {
	may := &hubfile.Transmit{}
	c := &Console{file: &hubfile.File{
		Datagrams: []hubfile.Datagrams{{Name: "sat"}},
		Terminals: []hubfile.Terminal{{Name: "bd", Transmit: may}, {Name: "small", Transmit: may}, {Name: "mute"}, {Name: "away", Transmit: may}, {Name: "dead", Transmit: may}},
		Stations:  map[string]hubfile.Station{"330483105203": {NKey: "U", Key: &letter.Key{}, Addresses: map[string]string{"bd": "1", "small": "1", "mute": "1", "dead": "1"}}, "330483105204": {Token: "x"}},
	}, terminals: func() []gateway.NarrowState {
		on := func(name string, bytes int) gateway.NarrowState {
			return gateway.NarrowState{Name: name, Limits: drivers.TerminalLimits{Bytes: bytes, Transmit: true}}
		}
		return []gateway.NarrowState{on("bd", 78), on("small", 51), on("mute", 78), on("away", 78), {Name: "dead"}}
	}}
	to := []letter.Station{"330483105203", "330483105204"}
	codes := func(body []byte) (out []string) {
		for _, m := range c.ways(body, to) {
			out = append(out, m.Code[len("hubd.way_"):])
		}
		return out
	}
	short := append([]byte{0x10}, make([]byte, 77)...)
	if got, want := codes(short), []string{"nats", "datagrams", "narrow", "narrow_small", "narrow_mute", "narrow_nobody", "narrow", "narrow_waits"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got, want := codes(make([]byte, 4000)), []string{"nats", "datagrams_large", "narrow_full", "narrow_full", "narrow_full", "narrow_full", "narrow_full"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
