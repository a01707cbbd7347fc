package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
)

// TalkCmd speaks by the loudspeakers: a recording, at the pace of speech.
type TalkCmd struct {
	File   string        `arg:"" help:"WAV 录音，- 为标准输入 · A WAV file, - for standard input"`
	Who    string        `help:"喊话人姓名，记入日志 · Name of the person who speaks, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
	Kind   string        `enum:"real,drill,test" default:"real" help:"real 实战、drill 演练、test 测试 · the kind"`
	Level  string        `help:"级别代码，不写是通知 · a level's code; without one it is a notice"`
	Output []string      `help:"扬声器，不写是全部 · loudspeakers; all without"`
	Zone   []string      `help:"片区 · zones"`
	For    time.Duration `name:"for" help:"最长多久，默认按录音再加 10s · how long at the longest, by default the file and 10s more"`
	JSON   bool          `name:"json" help:"以 JSON 输出 · write JSON"`
}

// talkRate is what the box is given: twice the band of a telephone.
const talkRate = 16000

// Run speaks, and exits with 1 where it was refused or ended early.
func (c *TalkCmd) Run(g *Globals) error {
	who := strings.TrimSpace(c.Who)
	if who == "" {
		return &clientError{phrase.E("serve.needs_name"), exitUsage}
	}
	var in io.Reader = os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return &clientError{phrase.Wrap(err, "edged.talk_wav", "file", c.File), exitUsage}
		}
		defer f.Close()
		in = f
	}
	p, err := speech.ReadWAV(in)
	if err != nil {
		return &clientError{phrase.Wrap(err, "edged.talk_wav", "file", c.File), exitUsage}
	}
	voice := speech.Resample(p, talkRate).Samples
	if c.For == 0 {
		c.For = time.Duration(len(voice))*time.Second/talkRate + 10*time.Second
	}
	ctx, cancel := g.context()
	defer cancel()
	var t api.Talk
	if err := g.get("/talk", api.TalkAsk{Who: who, Kind: c.Kind, Level: c.Level, Outputs: c.Output, Zones: c.Zone, Seconds: max(1, int(c.For/time.Second)), Codec: "s16le", Rate: talkRate}, &t); err != nil {
		return err
	}
	path := "/talk/" + url.PathEscape(t.ID)
	// A drill says that it is one before it can be spoken.
	for t.State == "waiting" && ctx.Err() == nil {
		wait(ctx, 100*time.Millisecond)
		if err := g.get(path, nil, &t); err != nil {
			return err
		}
	}
	if err := g.speak(ctx, path+"/voice", voice); err != nil {
		return err
	}
	if err := g.get(path+"/end", struct{}{}, &t); err != nil {
		return err
	}
	for t.State != "ended" && ctx.Err() == nil {
		wait(ctx, 100*time.Millisecond)
		if err := g.get(path, nil, &t); err != nil {
			return err
		}
	}
	if c.JSON {
		if err := g.printLine(t); err != nil {
			return err
		}
	} else {
		why := ""
		if t.Why != nil {
			why = g.text(*t.Why)
		}
		g.say(phrase.M("edged.talked", "played", (time.Duration(t.PlayedMS) * time.Millisecond).Round(100*time.Millisecond).String(), "outputs", len(t.Sounded), "measured", len(t.Measured), "why", why))
	}
	if t.Why == nil || t.Why.Code != "station.talk_done" {
		return exitCode(exitRefused)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// speak gives a voice at its pace, as one body.
func (g *Globals) speak(ctx context.Context, path string, voice []int16) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edged/api/v1"+path, &paced{ctx: ctx, voice: voice})
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	resp, err := g.client().Do(r)
	if err != nil {
		return g.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return refusal(resp)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&api.Talk{})
}

// paced gives samples no sooner than they are spoken, a tenth of a second ahead.
type paced struct {
	ctx   context.Context
	voice []int16
	began time.Time
	given int
}

// Read waits for the time of what it gives.
func (p *paced) Read(b []byte) (int, error) {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	for p.given < len(p.voice) {
		due := int((time.Since(p.began)+100*time.Millisecond)*talkRate/time.Second) - p.given
		if n := min(due, len(p.voice)-p.given, len(b)/2); n > 0 {
			for i, s := range p.voice[p.given : p.given+n] {
				binary.LittleEndian.PutUint16(b[2*i:], uint16(s))
			}
			p.given += n
			return 2 * n, nil
		}
		wait(p.ctx, 20*time.Millisecond)
		if err := p.ctx.Err(); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}
