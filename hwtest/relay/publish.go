package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
)

// Publish sends the film in a loop, at so many pictures a second, until ctx ends.
func (f *Film) Publish(ctx context.Context, url string, perSecond int, table *Table) error {
	h := &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	for _, n := range f.Pictures[0] {
		switch n[0] & 31 {
		case 7:
			h.SPS = n
		case 8:
			h.PPS = n
		}
	}
	media := &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{h}}
	tcp := gortsplib.ProtocolTCP
	c := &gortsplib.Client{Protocol: &tcp, WriteQueueSize: 4096}
	if err := c.StartRecording(url, &description.Session{Medias: []*description.Media{media}}); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer c.Close()
	enc, err := h.CreateEncoder()
	if err != nil {
		return err
	}
	begun := time.Now()
	for i := 0; ; i++ {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(due)):
		}
		k := i % len(f.Pictures)
		packets, err := enc.Encode(f.Pictures[k])
		if err != nil {
			return err
		}
		table.set(k, mono())
		for _, p := range packets {
			p.Timestamp = uint32(int64(i) * 90_000 / int64(perSecond))
			if err := c.WritePacketRTP(media, p); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
	}
}
