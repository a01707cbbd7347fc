package acceptance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

type step struct {
	id, zh, en string
	// first: without it nothing after it can be done.
	first bool
	do    func(*run, context.Context, *Result) error
}

var steps = []step{
	{"reach", "网页应答，证书指纹", "its page answers; its certificate's fingerprint", true, (*run).reach},
	{"account", "技术员登录", "a technician signs in", true, (*run).account},
	{"armed", "正在值守，没有警报级别", "it stands watch, and no level stands", false, (*run).armed},
	{"clock", "时钟可信", "its clock is trusted", false, (*run).clock},
	{"kept", "记录写得进盘", "what it keeps is kept", false, (*run).kept},
	{"points", "每个测点都读得到", "each point is read", false, (*run).points},
	{"outputs", "每路输出都能响", "each output is able to sound", false, (*run).outputs},
	{"power", "供电", "its supply", false, (*run).power},
	{"links", "通县里的链路", "its links to the county", false, (*run).links},
	{"software", "软件版本", "its software", false, (*run).software},
	{"loud", "试响几秒，实测", "it sounds for seconds and is measured", false, (*run).loud},
	{"restart", "程序重启后恢复值守", "it is started anew and stands watch", false, (*run).restart},
	{"cut", "断电再上电，恢复值守，记录不丢", "its power is cut: it stands watch again and has lost nothing", false, (*run).cut},
	{"release", "安装升级包，自证后确认", "a release is installed and proves itself", false, (*run).release},
	{"faults", "没有故障", "no fault stands", false, (*run).faults},
	{"sheet", "交付单", "the sheet of its commissioning", false, (*run).sheet},
}

// needed must have been done for a board to be taken over.
var needed = []string{"loud", "cut"}

func (r *run) reach(ctx context.Context, x *Result) error {
	began := time.Now()
	if err := r.box.ask(ctx, 15*time.Second, "/sign-in", "", nil, nil); err != nil {
		return err
	}
	x.measured(float64(time.Since(began).Milliseconds()), "ms")
	if r.box.print != "" {
		x.note("SHA-256 %s", r.box.print)
	}
	return nil
}

func (r *run) account(ctx context.Context, x *Result) error {
	return r.box.signIn(ctx, r.Account, r.Password)
}

func (r *run) armed(ctx context.Context, x *Result) error {
	var s status
	if err := r.box.get(ctx, "/status", &s); err != nil {
		return err
	}
	x.note("%s %s", s.Site, s.Name)
	var bad []string
	if !s.Armed {
		bad = append(bad, "没有值守 · it does not stand watch")
	}
	for _, t := range s.NotArmed {
		bad = append(bad, t.String())
	}
	if s.Level != "" {
		bad = append(bad, "有警报级别时不做验收 · not while a level stands: "+s.LevelText.String())
	}
	return failed(bad)
}

func (r *run) clock(ctx context.Context, x *Result) error {
	var s status
	if err := r.box.get(ctx, "/status", &s); err != nil {
		return err
	}
	off := time.Until(s.Now).Abs()
	x.measured(off.Seconds(), "s off this machine's")
	switch {
	case s.Trust == "free":
		return errors.New("上电后没有对过时：请接 GNSS、NTP 或时钟芯片 · nothing has set its clock since it started: connect GNSS, NTP or a clock chip")
	case off > 2*time.Second:
		return fmt.Errorf("与本机相差 %s · its clock and this machine's differ by %s", off.Round(time.Millisecond), off.Round(time.Millisecond))
	}
	return nil
}

func (r *run) kept(ctx context.Context, x *Result) error {
	var s status
	if err := r.box.get(ctx, "/status", &s); err != nil {
		return err
	}
	if !s.JournalOK {
		return errors.New(s.Journal.String())
	}
	return nil
}

func (r *run) faults(ctx context.Context, x *Result) error {
	var all []fault
	if err := r.box.get(ctx, "/faults", &all); err != nil {
		return err
	}
	var bad []string
	for _, f := range all {
		bad = append(bad, fmt.Sprintf("%s: %s", f.Thing, f.Why))
	}
	return failed(bad)
}

// points looks at all points for a while: one that is not good at any look is named.
func (r *run) points(ctx context.Context, x *Result) error {
	bad, seen := map[string]string{}, 0
	for end := time.Now().Add(r.Watch); ; {
		var all []reading
		if err := r.box.get(ctx, "/readings", &all); err != nil {
			return err
		}
		seen = len(all)
		for _, p := range all {
			if p.Quality != "good" {
				why := p.Quality
				if p.Why != nil {
					why = p.Why.String()
				}
				bad[p.Point] = fmt.Sprintf("%s %s: %s", p.Point, p.Name, why)
			}
		}
		if !time.Now().Before(end) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	if seen == 0 {
		return x.leave("没有测点 · it has none")
	}
	x.measured(float64(seen), "points")
	return failed(slices.Sorted(maps.Values(bad)))
}

func (r *run) outputs(ctx context.Context, x *Result) error {
	var y readiness
	if err := r.box.get(ctx, "/readiness", &y); err != nil {
		return err
	}
	x.note("%s", y.Line)
	var bad []string
	for _, o := range y.Outputs {
		if !o.Able {
			why := ""
			if o.Why != nil {
				why = o.Why.String()
			}
			bad = append(bad, fmt.Sprintf("%s %s: %s", o.Output, o.Name, why))
		}
	}
	if len(y.Outputs) == 0 {
		return errors.New("没有输出，只能看，不会响 · it has no outputs: it can only be looked at")
	}
	return failed(bad)
}

func (r *run) power(ctx context.Context, x *Result) error {
	var y readiness
	if err := r.box.get(ctx, "/readiness", &y); err != nil {
		return err
	}
	x.note("%s", y.Power.Line)
	if y.Power.How != nil {
		x.note("%s", *y.Power.How)
	}
	return nil
}

func (r *run) links(ctx context.Context, x *Result) error {
	var y links
	if err := r.box.get(ctx, "/links", &y); err != nil {
		return err
	}
	if len(y.Links) == 0 {
		return x.leave("没有链路 · it has none")
	}
	var bad []string
	for _, l := range y.Links {
		line := fmt.Sprintf("%s %s: %s %s", l.Name, l.NameText, l.StateText, l.Why)
		if l.State == "up" || l.State == "listening" {
			x.note("%s", line)
		} else {
			bad = append(bad, line)
		}
	}
	x.measured(float64(y.Waiting), "messages waiting")
	return failed(bad)
}

func (r *run) software(ctx context.Context, x *Result) error {
	var u software
	if err := r.box.get(ctx, "/update", &u); err != nil {
		return err
	}
	x.note("%s", u.Running.Version)
	if u.Why != nil {
		x.note("%s", *u.Why)
	}
	if u.Phase != "" && u.Phase != "idle" {
		return fmt.Errorf("升级没有做完，先做完它 · an update is %s: end it first", u.Phase)
	}
	if u.Reason != nil {
		x.note("上一次升级退回了 · the last update was taken back: %s", *u.Reason)
	}
	return nil
}

// loudFor is how long outputs sound.
const loudFor = 4 * time.Second

func (r *run) loud(ctx context.Context, x *Result) error {
	if !r.Loud {
		return x.leave("没有要求试响（LOUD=1） · not asked for")
	}
	var y readiness
	if err := r.box.get(ctx, "/readiness", &y); err != nil {
		return err
	}
	var all []string
	for _, o := range y.Outputs {
		all = append(all, o.Output)
	}
	if len(all) == 0 {
		return x.leave("没有输出 · it has no outputs")
	}
	var t soundTest
	if err := r.box.post(ctx, "/announcer/tests", map[string]any{"outputs": all, "seconds": int(loudFor.Seconds()) + 2, "clear": true, "told": true}, &t); err != nil {
		return err
	}
	id := t.ID
	for end := time.Now().Add(loudFor); time.Now().Before(end) && t.State != "over"; {
		if err := r.box.post(ctx, "/announcer/tests/"+id+"/hold", map[string]any{"beat": t.Beat}, &t); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(150 * time.Millisecond):
		}
	}
	if err := r.box.post(context.WithoutCancel(ctx), "/announcer/tests/"+id+"/end", map[string]any{}, &t); err != nil {
		return err
	}
	x.measured(float64(len(t.Sounded)), fmt.Sprintf("of %d sounded, %d of them measured", len(all), len(t.Measured)))
	var bad []string
	for _, o := range all {
		if !slices.Contains(t.Sounded, o) {
			bad = append(bad, o+" 没有响 · did not sound")
		}
	}
	if t.Why != nil && len(bad) > 0 {
		bad = append(bad, t.Why.String())
	}
	return failed(bad)
}

// get asks, and signs in anew where it may have to: a box that started anew may have forgotten who was there.
func (r *run) get(ctx context.Context, path string, into any) error {
	err := r.box.get(ctx, path, into)
	if err != nil && r.box.signIn(ctx, r.Account, r.Password) == nil {
		err = r.box.get(ctx, path, into)
	}
	return err
}

// again waits until another start of the program stands watch.
func (r *run) again(ctx context.Context, before status) (s status, err error) {
	err = until(ctx, r.Armed, func() error {
		if err := r.get(ctx, "/status", &s); err != nil {
			return err
		}
		if s.Started.Equal(before.Started) {
			return errors.New("还没有重启 · it is still the one before")
		}
		if !s.Armed {
			return errors.New("还没有值守 · it does not stand watch yet")
		}
		return nil
	})
	return s, err
}

func (r *run) restart(ctx context.Context, x *Result) error {
	var before status
	if err := r.box.get(ctx, "/status", &before); err != nil {
		return err
	}
	began := time.Now()
	if err := r.box.post(ctx, "/restart", map[string]any{}, nil); err != nil {
		return err
	}
	if _, err := r.again(ctx, before); err != nil {
		return err
	}
	x.measured(time.Since(began).Seconds(), "s")
	return r.box.signIn(ctx, r.Account, r.Password)
}

// newest is the last record that the box has written.
func (r *run) newest(ctx context.Context) (int64, error) {
	var last []record
	if err := r.box.get(ctx, "/journal/recent?limit=1", &last); err != nil {
		return 0, err
	}
	if len(last) == 0 {
		return 0, errors.New("日志是空的 · its journal is empty")
	}
	return last[len(last)-1].Seq, nil
}

func (r *run) cut(ctx context.Context, x *Result) error {
	if r.Power == nil {
		return x.leave("没有要求断电（CUT=1） · not asked for")
	}
	var before status
	var was, is identity
	if err := errors.Join(r.box.get(ctx, "/status", &before), r.box.get(ctx, "/identity", &was)); err != nil {
		return err
	}
	newest, err := r.newest(ctx)
	if err != nil {
		return err
	}
	if err := r.Power.Off(ctx); err != nil {
		return err
	}
	if err := r.Power.On(ctx); err != nil {
		return err
	}
	began := time.Now()
	after, err := r.again(ctx, before)
	if err != nil {
		return err
	}
	if err := r.box.signIn(ctx, r.Account, r.Password); err != nil {
		return err
	}
	x.measured(time.Since(began).Seconds(), "s from power to standing watch")
	if after.Boot == before.Boot {
		return errors.New("没有断过电 · its power was not away: it is the same start of the board")
	}
	if err := r.box.get(ctx, "/identity", &is); err != nil {
		return err
	}
	if is != was {
		return fmt.Errorf("身份变了：现在 %s，原来 %s · it is another box now", is.Key, was.Key)
	}
	now, err := r.newest(ctx)
	if err != nil {
		return err
	}
	if now < newest {
		return fmt.Errorf("断电丢了记录：日志到 %d，原来到 %d · its journal ends before where it was", now, newest)
	}
	return nil
}

const (
	stageMost = 30 * time.Minute
	trialMost = 15 * time.Minute
)

func (r *run) release(ctx context.Context, x *Result) error {
	if r.Release == nil {
		return x.leave("没有给升级包（RELEASE=文件） · none was given")
	}
	var staged release
	if err := r.box.ask(ctx, stageMost, "/api/v1/update/file", "application/octet-stream", r.Release, &staged); err != nil {
		return err
	}
	began := time.Now()
	if err := r.box.post(ctx, "/update/activate", map[string]any{}, nil); err != nil {
		return err
	}
	var u software
	err := until(ctx, trialMost, func() error {
		if err := r.get(ctx, "/update", &u); err != nil {
			return err
		}
		if u.Phase != "idle" || u.Running.Version != staged.Version && u.Reason == nil {
			return fmt.Errorf("正在运行 %s（%s） · it runs %s, %s", u.Running.Version, u.Phase, u.Running.Version, u.Phase)
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.measured(time.Since(began).Seconds(), "s from activating to confirmed")
	if u.Running.Version != staged.Version {
		return fmt.Errorf("it runs %s: %s", u.Running.Version, u.Reason)
	}
	x.note("%s", u.Running.Version)
	return nil
}

var stateWords = map[string]string{"open": "没做 open", "passed": "通过 passed", "failed": "没过 failed", "not-applicable": "不适用 n/a"}

func (r *run) sheet(ctx context.Context, x *Result) error {
	var s sheet
	if err := r.box.get(ctx, "/commissioning", &s); err != nil {
		return err
	}
	for _, t := range s.Steps {
		if !t.Applies {
			continue
		}
		line := fmt.Sprintf("[%s] %s", stateWords[t.State], t.Name)
		if t.Who != "" {
			line += "  " + t.Who
		}
		if t.Reason != "" {
			line += "  " + t.Reason
		}
		x.note("%s", line)
		for _, y := range t.Things {
			if y.Take != nil {
				x.note("    %s: %s", y.Name, y.Take.Text)
			}
		}
		if t.State == "open" || t.State == "failed" {
			for _, m := range t.Missing {
				x.note("    %s", m)
			}
		}
	}
	if r.Report != nil {
		var pdf []byte
		if err := r.box.ask(ctx, 2*time.Minute, "/api/v1/commissioning/report?as=pdf&lang=zh", "", nil, &pdf); err != nil {
			x.note("没有 PDF · no PDF: %v", err)
		} else if _, err := r.Report.Write(pdf); err != nil {
			return err
		}
	}
	x.measured(float64(s.Left), "steps left")
	if !s.Commissioned {
		return fmt.Errorf("还有 %d 步没有做完，请在网页的向导里做完 · %d steps are left: end them on the box's page", s.Left, s.Left)
	}
	return nil
}
