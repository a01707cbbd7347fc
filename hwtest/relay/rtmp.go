package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
)

// RTMP as a drone speaks it (Adobe, RTMP 1.0): the plain handshake (5.2), chunks with whole headers (5.3), the
// commands that publish (7.2), and AVC in FLV tags (Video File Format 10.1, E.4.3).
const (
	rtmpHello   = 1536
	rtmpChunk   = 128 // until told otherwise
	rtmpSize    = 1
	rtmpVideo   = 9
	rtmpCommand = 20
	rtmpWithin  = 10 * time.Second
)

// PublishRTMP sends the film in a loop to rtmp://host:port/app/name?key=…, at so many pictures a second, until ctx
// ends. A server that refuses the name or the key is told as an error.
func (f *Film) PublishRTMP(ctx context.Context, to string, perSecond int) error {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "rtmp" {
		return fmt.Errorf("publish: %s is no address of RTMP", to)
	}
	app, name, ok := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if !ok {
		return fmt.Errorf("publish: %s names no stream", to)
	}
	if u.RawQuery != "" {
		name += "?" + u.RawQuery
	}
	d := net.Dialer{Timeout: rtmpWithin}
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := f.rtmp(ctx, c, app, name, u, perSecond); err != nil && ctx.Err() == nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func (f *Film) rtmp(ctx context.Context, c net.Conn, app, name string, u *url.URL, perSecond int) error {
	c.SetDeadline(time.Now().Add(rtmpWithin))
	hello := make([]byte, 1+rtmpHello)
	hello[0] = 3
	if _, err := c.Write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+2*rtmpHello)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if _, err := c.Write(answer[1 : 1+rtmpHello]); err != nil {
		return err
	}
	said := &rtmpSaid{}
	go io.Copy(said, c) // ends with the connection
	begin := rtmpMessage(rtmpSize, 0, 0, binary.BigEndian.AppendUint32(nil, 1<<16), rtmpChunk)
	for _, cmd := range []struct {
		stream uint32
		values []any
	}{
		{0, []any{"connect", 1.0, [][2]string{{"app", app}, {"type", "nonprivate"}, {"flashVer", "FMLE/3.0"}, {"tcUrl", "rtmp://" + u.Host + "/" + app}}}},
		{0, []any{"releaseStream", 2.0, nil, name}},
		{0, []any{"FCPublish", 3.0, nil, name}},
		{0, []any{"createStream", 4.0, nil}},
		{1, []any{"publish", 5.0, nil, name, "live"}},
	} {
		begin = append(begin, rtmpMessage(rtmpCommand, cmd.stream, 0, amf(cmd.values...), 1<<16)...)
	}
	if _, err := c.Write(begin); err != nil {
		return err
	}
	if err := said.started(ctx); err != nil {
		return err
	}
	head, err := f.avcHeader()
	if err != nil {
		return err
	}
	if _, err := c.Write(rtmpMessage(rtmpVideo, 1, 0, append([]byte{0x17, 0, 0, 0, 0}, head...), 1<<16)); err != nil {
		return err
	}
	begun := time.Now()
	for i := 0; ; i++ {
		at := time.Duration(i) * time.Second / time.Duration(perSecond)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(begun.Add(at))):
		}
		c.SetDeadline(time.Now().Add(rtmpWithin))
		if _, err := c.Write(rtmpMessage(rtmpVideo, 1, uint32(at.Milliseconds()), avcPicture(f.Pictures[i%len(f.Pictures)]), 1<<16)); err != nil {
			return errors.Join(err, said.why())
		}
	}
}

// avcHeader is the decoder configuration (ISO/IEC 14496-15, 5.3.3.1) by the first picture's parameter sets.
func (f *Film) avcHeader() ([]byte, error) {
	var sps, pps []byte
	for _, n := range f.Pictures[0] {
		switch n[0] & 31 {
		case 7:
			sps = n
		case 8:
			pps = n
		}
	}
	if len(sps) < 4 || pps == nil {
		return nil, errors.New("the film does not begin with its parameter sets")
	}
	b := append([]byte{1}, sps[1:4]...)
	b = append(b, 0xff, 0xe1)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(sps))), sps...)
	b = append(b, 1)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(pps))), pps...), nil
}

func avcPicture(nals [][]byte) []byte {
	b := []byte{0x27, 1, 0, 0, 0}
	for _, n := range nals {
		if n[0]&31 == 5 {
			b[0] = 0x17
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(n))), n...)
	}
	return b
}

// rtmpMessage cuts a message into chunks: one with a whole header, the others without.
func rtmpMessage(kind byte, stream, at uint32, body []byte, chunk int) []byte {
	id := map[byte]byte{rtmpSize: 2, rtmpCommand: 3, rtmpVideo: 6}[kind]
	short := min(at, 1<<24-1)
	var long []byte // times after 4.6 hours (5.3.1.3)
	if short == 1<<24-1 {
		long = binary.BigEndian.AppendUint32(nil, at)
	}
	b := []byte{id, byte(short >> 16), byte(short >> 8), byte(short), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind}
	b = append(binary.LittleEndian.AppendUint32(b, stream), long...)
	for len(body) > chunk {
		b = append(append(append(b, body[:chunk]...), 0xc0|id), long...)
		body = body[chunk:]
	}
	return append(b, body...)
}

// amf writes strings, numbers, nothing and objects of strings (AMF 0, 2.2 to 2.7).
func amf(values ...any) (b []byte) {
	text := func(s string) { b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	for _, v := range values {
		switch v := v.(type) {
		case string:
			b = append(b, 2)
			text(v)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 0), math.Float64bits(v))
		case [][2]string:
			b = append(b, 3)
			for _, p := range v {
				text(p[0])
				b = append(b, 2)
				text(p[1])
			}
			b = append(b, 0, 0, 9)
		default:
			b = append(b, 5)
		}
	}
	return b
}

// rtmpSaid keeps the beginning of what the server says: how it answers is read there.
type rtmpSaid struct {
	mu sync.Mutex
	b  []byte
}

func (s *rtmpSaid) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, b[:min(len(b), 64<<10-len(s.b))]...)
	return len(b), nil
}

// started waits until the server takes what is published.
func (s *rtmpSaid) started(ctx context.Context) error {
	end := time.Now().Add(rtmpWithin)
	for time.Now().Before(end) {
		s.mu.Lock()
		// FCPublish is answered by the same code: what counts is the stream's own status.
		_, status, _ := bytes.Cut(s.b, []byte("onStatus"))
		yes := bytes.Contains(status, []byte("NetStream.Publish.Start"))
		s.mu.Unlock()
		if err := s.why(); err != nil {
			return err
		}
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("the server says neither yes nor no")
}

// why gives the server's refusal.
func (s *rtmpSaid) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, no := range []string{"NetStream.Publish.BadName", "NetConnection.Connect.Rejected"} {
		if i := bytes.Index(s.b, []byte(no)); i >= 0 {
			return fmt.Errorf("refused: %q", s.b[i:min(len(s.b), i+300)])
		}
	}
	return nil
}
