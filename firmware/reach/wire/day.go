package wire

// DayCost is what a series costs on a narrow link: messages, and their bytes with
// header, MAC and all.
type DayCost struct{ Messages, Bytes, Exact int }

// Day sends a series over a link of messages of most bytes and reads it back, each block
// as full as it gets, and acknowledged every so many messages; chain is the Encoder's. It errs where what was read is not what was sent.
func Day(d Dictionary, s Series, most, every, chain int) (DayCost, error) {
	e, err := NewEncoder(d, chain)
	if err != nil {
		return DayCost{}, err
	}
	r, err := NewDecoder(d)
	if err != nil {
		return DayCost{}, err
	}
	keys, err := NewKeys(make([]byte, RootSize), "day", 1)
	if err != nil {
		return DayCost{}, err
	}
	up := &Sender{Keys: keys, Direction: Up, Counter: NewCounter(0, func(uint64) error { return nil })}
	in := &Receiver{Keys: []*Keys{keys}, Direction: Up, Window: &Window{}}
	var cost DayCost
	var waiting []int
	for at := 0; at < len(s.Rows); {
		rest := Series{Minute: s.Minute + int64(at*s.Step), Step: s.Step, Rows: s.Rows[at:]}
		b, err := e.Encode(rest, most-Overhead-1)
		if err != nil {
			return cost, err
		}
		m, err := up.Seal(Message{Class: Telemetry, Kind: Whole, Content: AppendItem(nil, Item{ItemTelemetry, b.Bytes}, true)}, "0")
		if err != nil {
			return cost, err
		}
		cost.Messages++
		cost.Bytes += len(m)
		got, err := in.Open(m, "0")
		if err != nil {
			return cost, err
		}
		items, err := Items(got.Content)
		if err != nil {
			return cost, err
		}
		number, read, err := r.Decode(items[0].Bytes, rest.Minute)
		if err != nil {
			return cost, err
		}
		for i := range read.Rows {
			for c, v := range read.Rows[i] {
				if v == s.Rows[at+i][c] {
					cost.Exact++
				}
			}
		}
		if waiting = append(waiting, number); len(waiting) >= every {
			for _, n := range waiting {
				e.Acked(n)
			}
			waiting = nil
		}
		at += b.Rows
	}
	return cost, nil
}
