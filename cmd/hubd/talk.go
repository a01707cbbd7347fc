package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/pictures"
	"tocsin/cmd/hubd/talk"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
)

// talker lets the page's officers speak.
type talker struct{ d *talk.Desk }

// Talk opens a talk and waits until it can be spoken.
func (t talker) Talk(ctx context.Context, s letter.Station, who, why string) (pictures.Voice, error) {
	c, err := t.d.Talk(ctx, s, who, why)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// startTalk makes what carries voices to the stations. Without keys of its own the hub carries
// what the desk's command seals, and officers speak by no page.
func (h *hub) startTalk(f *hubfile.File, log *slog.Logger) error {
	h.talk = &talk.Desk{File: f, Conn: h.engine.Conn, Now: time.Now, Go: starter(h.guard)}
	for _, file := range f.Talk.Keys {
		k, err := issue.LoadKey(file)
		if err != nil {
			return err
		}
		h.talk.Signers = append(h.talk.Signers, k)
	}
	h.console.HandleDesk("GET /v1/talk", &talk.Relay{Conn: h.engine.Conn, Guard: h.guard, Log: log, Who: console.Caller,
		Known: func(s letter.Station) bool { _, ok := f.Stations[string(s)]; return ok }})
	return nil
}

// talkerOf gives the pictures' page whoever can speak; nil without keys.
func (h *hub) talkerOf() pictures.Talker {
	if len(h.talk.Signers) == 0 {
		return nil
	}
	return talker{h.talk}
}

func starter(g *guard.Guard) func(string, func(context.Context) error) {
	return func(name string, run func(context.Context) error) { g.Go("talk", name, guard.Once, run) }
}

// TalkCmd speaks by a station's loudspeakers. The keys stay in this process: the running hub
// carries what it cannot read.
type TalkCmd struct {
	File    string        `arg:"" type:"path" help:"WAV 录音（16 位，单声道或立体声） · a WAV file of 16 bits"`
	Station string        `required:"" placeholder:"ID" help:"站点编号 · the station's id"`
	Key     []string      `name:"issuer-key" required:"" type:"path" placeholder:"FILE" help:"签发人私钥，须双人放行时写两次 · the issuer's private key; twice where two persons must release it"`
	Person  string        `required:"" help:"喊话人姓名 · who speaks"`
	Why     string        `help:"事由，显示在站点 · what it is about, shown there"`
	Kind    string        `enum:"real,drill,test" default:"real" help:"real 实战、drill 演练、test 测试 · the kind"`
	Level   string        `help:"级别代码，不写是通知 · a level's code; without one it is a notice"`
	Zone    []string      `help:"片区，不写是全部扬声器 · zones; without any, every loudspeaker"`
	Output  []string      `help:"扬声器 · loudspeakers"`
	For     time.Duration `name:"for" help:"最长多久，默认按录音再加 10s · how long at the longest, by default the file and 10s more"`
	Config  string        `short:"c" required:"" type:"path" placeholder:"FILE" help:"中心文件 · the hub's file"`
}

// Run speaks, and exits with 1 where it was refused or not heard out.
func (c *TalkCmd) Run(g *Globals) error {
	f, ps := hubfile.Load(c.Config)
	if f == nil {
		tell(os.Stderr, ps, g.lang())
		return exitCode(exitUsage)
	}
	st, ok := f.Stations[c.Station]
	if !ok {
		return phrase.E("hubd.talk_station", "station", c.Station)
	}
	if st.Box == "" {
		return phrase.E("hubd.talk_box", "station", c.Station)
	}
	alaw, err := talk.ReadWAV(c.File)
	if err != nil {
		return err
	}
	a := talk.Ask{Station: letter.Station(c.Station), Box: trust.KeyID(st.Box), Person: c.Person, About: phrase.Text{ZH: c.Why}, Kind: c.Kind, Level: c.Level,
		Zones: c.Zone, Outputs: c.Output, Longest: c.For, Counter: uint64(time.Now().Unix())}
	if a.Longest == 0 {
		a.Longest = (time.Duration(len(alaw))*time.Second/8000 + 10*time.Second).Truncate(time.Second)
	}
	for _, file := range c.Key {
		k, err := issue.LoadKey(file)
		if err != nil {
			return err
		}
		a.Signers = append(a.Signers, k)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	gd := guard.New(ctx, slog.New(slog.DiscardHandler), nil)
	line, err := talk.Socket(ctx, f.Socket, a.Station, starter(gd))
	if err != nil {
		fmt.Fprintln(os.Stderr, "hubd:", phrase.In(err, g.lang()))
		return exitCode(exitUnreachable)
	}
	call, err := talk.Open(ctx, line, a, talk.Opts{Now: time.Now, Go: starter(gd)})
	if err != nil {
		line.Close()
		return err
	}
	fmt.Fprintln(g.out(), call.Says.In(g.lang()))
	err = talk.Play(ctx, call, alaw)
	if e := call.Close(); err == nil {
		err = e
	}
	r := call.Report()
	fmt.Fprintln(g.out(), phrase.M("hubd.talk_report", "sent", fmt.Sprintf("%.1f", float64(len(alaw))/8000), "played", fmt.Sprintf("%.1f", float64(r.Played)/100),
		"concealed", int(r.Concealed)*10, "outputs", len(r.Outputs), "measured", len(r.Measured), "why", r.Why).In(g.lang()))
	return err
}
