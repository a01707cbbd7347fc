package main

import (
	"fmt"

	"tocsin/firmware/reach/wire"
	"tocsin/hwtest/days"
)

// daysOfTelemetry sends the bench's two days over messages of 78 bytes, headers, MAC and all, and counts only days of which
// every reading came back as it was. Acknowledgements come every ten messages, as on BeiDou.
func daysOfTelemetry(b *bench) error {
	for _, d := range []struct {
		name string
		read func() (days.Day, error)
	}{{"storm", days.Storm}, {"calm", days.Calm}} {
		day, err := d.read()
		if err != nil {
			return err
		}
		s := wire.Series{Minute: 29_900_000, Step: 5}
		for _, r := range day.Rows {
			row := make([]wire.Value, len(r))
			for i, v := range r {
				row[i] = wire.Good(int32(v))
			}
			s.Rows = append(s.Rows, row)
		}
		const each = 10
		cost, err := wire.Day(wire.Dictionary{ID: 1, Channels: days.Sensors}, s, 78, each, each)
		if err != nil {
			return err
		}
		n := len(s.Rows) * days.Sensors
		if cost.Exact != n {
			return fmt.Errorf("%s: %d of %d readings came back", d.name, cost.Exact, n)
		}
		b.tell("links.day_bytes_"+d.name, float64(cost.Bytes), n)
		b.tell("links.day_messages_"+d.name, float64(cost.Messages), n)
	}
	return nil
}
