package apitest

import (
	"context"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// Frames gives an asking and its answer on any line.
func (b *Box) Frames(line string) ([]api.Frame, error) {
	if b.Err != nil {
		return nil, b.Err
	}
	v := 4.75
	return []api.Frame{
		{Seq: 1, At: At, Kind: "asked", Device: "river", Unit: 2, Function: 3, Count: 3, Bytes: "02 03 00 00 00 03 05 F8", Meaning: text("f.1", "读保持寄存器", "read holding registers")},
		{Seq: 2, At: At, Kind: "answer", Device: "river", Unit: 2, Function: 3, Count: 3, Bytes: "02 03 06 40 98 00 00 00 00 0E 2D", Meaning: text("f.2", "应答", "answer"),
			Values: []api.FrameValue{{Point: "river.level", Value: &v, Unit: "m", Quality: point.Good}}},
	}, nil
}

// Scan finds unit 7 on any line.
func (b *Box) Scan(q api.ScanQuery, who api.Who) (api.ScanRun, error) {
	if err := b.act(Act{What: "scan", ID: q.Line, Who: who}); err != nil {
		return nil, err
	}
	return func(ctx context.Context, f func(api.ScanEvent) error) error {
		v := 3.25
		found := api.FoundUnit{Baud: 4800, Format: "8E1", Unit: 7, How: "answers", Identity: &api.ScanIdentity{Vendor: "Bench", Product: "G-7", Revision: "1.02"},
			Matches: []api.ScanMatch{{Profile: "generic-radar-level-rs485", Name: phrase.Text{ZH: "雷达水位计", EN: "Radar level"}, Values: []api.FrameValue{{Point: "level", Value: &v, Unit: "m", Quality: point.Good}}}},
			Rows: []api.ScanRow{{Table: "holding", Addr: 2, Uint16: 0, Hex: "0000", Uint32: []uint32{16464, 1078984704, 20544, 1344339968}, Int32: []int32{16464, 1078984704, 20544, 1344339968},
				Float: []*float64{nil, &v, nil, nil}, Likely: []string{"float32 CDAB"}}, {Table: "holding", Addr: 3, Uint16: 0x4050, Int16: 0x4050, Hex: "4050", Text: "@P", Moved: true}}}
		for _, e := range []api.ScanEvent{
			{Kind: api.ScanProgress, Setting: "9600 8N1", Unit: 1, Total: 247, LeftMS: 30000},
			{Kind: api.ScanFound, Setting: "4800 8E1", Unit: 7, Done: 7, Total: 247, Found: &found},
			{Kind: api.ScanDone, Done: 247, Total: 247},
		} {
			if err := f(e); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
