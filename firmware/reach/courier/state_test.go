package courier

import (
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

func TestALinkIsSuspectAfterAMissAndDeadAfterThree(t *testing.T) {
	w := bench(t, shipped(t), 1, "fibre")
	w.open("fibre")
	began := w.now
	var turns []State
	var at []time.Duration
	for w.now < began+time.Minute && w.state("fibre") != Down {
		w.run(time.Second, none)
		tt, _ := w.m.News()
		for _, x := range tt {
			turns, at = append(turns, x.To), append(at, w.now-began)
		}
	}
	n := len(turns)
	if n < 2 || turns[n-2] != Suspect || turns[n-1] != Down || at[n-1] > 15*time.Second {
		t.Errorf("%v at %v", turns, at)
	}
}

func TestAnAlarmLeavesADyingLinkAtItsFirstMiss(t *testing.T) {
	w := bench(t, shipped(t), 1, "fibre", "cellular")
	w.open("fibre", "cellular")
	w.post(Alarm, "a", 50)
	w.turn()
	w.want("a", "fibre ")
	w.m.Probed(w.now+time.Second, "fibre", false)
	w.now += time.Second
	w.turn()
	w.want("a", "fibre cellular ")
}

func TestClassesZeroToThreeGoFromTheFirstGoodProbe(t *testing.T) {
	for _, c := range []Class{Warning, Command, Receipt, Alarm} {
		w := bench(t, shipped(t), 1, "fibre", "cellular")
		w.open("fibre")
		w.run(time.Minute, none)
		w.post(c, "x", 50)
		w.run(10*time.Minute, none) // tried in vain, ever more rarely
		n := len(w.sent)
		if n > 40 {
			t.Errorf("%v: %d parcels into a dead link in ten minutes", c, n)
		}
		w.m.Probed(w.now, "fibre", true)
		if w.state("fibre") != Returning {
			t.Error(w.state("fibre"))
		}
		w.turn()
		if len(w.sent) != n+1 {
			t.Errorf("%v: %d parcels at the first good probe", c, len(w.sent)-n)
		}
	}
}

func TestTelemetryWaitsOutTheHoldDownWhereAnotherLinkCarriesIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		others []string
		least  time.Duration
		most   time.Duration
	}{
		{"4G carries it", []string{"cellular"}, 60 * time.Second, 66 * time.Second},
		{"only BeiDou is there, which carries no whole", []string{"beidou"}, 0, 4 * time.Second},
		{"nothing else is there", nil, 0, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := bench(t, shipped(t), 1)
			w.open(append(c.others, "fibre")...)
			fibre := false
			answer := func(link string) bool { return link != "fibre" || fibre }
			w.run(2*time.Minute, answer)
			if w.state("fibre") != Down {
				t.Fatal(w.state("fibre"))
			}
			fibre = true
			for w.state("fibre") == Down {
				w.run(100*time.Millisecond, answer)
			}
			began, first := w.now, time.Duration(-1)
			for i := range 1200 {
				w.post(Telemetry, number("t", i), 50)
				w.run(100*time.Millisecond, answer)
				for _, p := range w.sent {
					w.m.Ack(w.now, p.Link, acksOf(p))
					if p.Link == "fibre" && first < 0 {
						first = w.now - began
					}
				}
				w.sent = nil
			}
			if first < c.least || first > c.most {
				t.Errorf("the fibre carries telemetry after %v", first)
			}
		})
	}
}

func acksOf(p Parcel) (acks []Ack) {
	for _, part := range p.Parts {
		acks = append(acks, Ack{ID: part.ID, Short: part.Short})
	}
	return acks
}

func TestManyBoxesDoNotBeginAtOnce(t *testing.T) {
	seen := map[time.Duration]int{}
	for seed := range uint64(60) {
		w := bench(t, shipped(t), seed, "satellite")
		w.post(Telemetry, "t", 50)
		w.open("satellite")
		began := w.now
		for w.links("t") == "" {
			w.run(100*time.Millisecond, all)
		}
		seen[(w.at[len(w.at)-1]-began).Truncate(time.Second)]++
	}
	if len(seen) < 4 {
		t.Errorf("they begin at %v", seen)
	}
}

func TestArrearsFillNoMoreThanHalfOfWhatMayBeUnderWay(t *testing.T) {
	w := bench(t, shipped(t), 1, "satellite")
	w.open("satellite")
	w.now += 10 * time.Second
	for i := range 2000 {
		w.post(Telemetry, number("t", i), 200)
	}
	for range 5 {
		w.turn()
	}
	if n := len(w.m.ways["satellite"].out); n != 8 {
		t.Errorf("%d parcels are out, the window is 16", n)
	}
	w.now += time.Millisecond
	w.post(Alarm, "a", 50)
	w.turn()
	if w.links("a") != "satellite " {
		t.Error("the alarm waits behind telemetry")
	}
}

func TestALinkThatIsOffSendsNothingAndComesBack(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.m.SetLimits(w.now, "beidou", Limits{Why: phrase.M("courier.off")})
	w.post(Warning, "red", 40)
	w.run(time.Hour, all)
	w.want("red", "")
	w.open("beidou")
	w.turn()
	w.want("red", "beidou ")
}

// Sends that hang hold up their own link alone, and not its warnings.
func TestSendsThatHangHoldUpNobodyElse(t *testing.T) {
	w := bench(t, shipped(t), 1, "fibre", "cellular", "beidou")
	w.open("fibre", "cellular", "beidou")
	w.hold = true
	for i := range 20 {
		w.post(Alarm, number("a", i), 4000)
		w.turn()
		w.now += time.Second
	}
	w.post(Warning, "red", 40)
	w.turn()
	w.want("red", "fibre cellular beidou ")
}

func TestAnAnswerToAnOldTicketChangesNothing(t *testing.T) {
	w := bench(t, shipped(t), 1, "sms")
	w.open("sms")
	w.post(Command, "x", 40)
	p := w.turn()[0]
	before := *w.m.ways["sms"]
	for _, ticket := range []uint64{p.Ticket, p.Ticket + 1, 0} {
		w.m.Sent(w.now, "sms", ticket, &Fault{Kind: FaultGone})
	}
	w.m.Sent(w.now, "nobody", p.Ticket, nil)
	w.m.Probed(w.now, "nobody", true)
	w.m.SetLimits(w.now, "nobody", Limits{May: true})
	w.m.Ack(w.now, "nobody", []Ack{{ID: "nothing", Via: "nobody"}})
	if after := w.m.ways["sms"]; after.sending != before.sending || after.money.balance != before.money.balance {
		t.Errorf("%+v", after)
	}
}

func TestLatencyAndDeliveryAreMeasured(t *testing.T) {
	w := bench(t, shipped(t), 1, "mesh")
	w.open("mesh")
	for i := range 200 {
		w.post(Command, number("x", i), 40)
		for _, p := range w.turn() {
			if i%4 > 0 {
				w.m.Ack(w.now+3*time.Second, "mesh", acksOf(p))
			} else { // this one is lost, and its message given up
				w.now += time.Minute
				w.m.judge(w.now)
				w.m.remove(w.m.byID[number("x", i)])
			}
		}
		w.now += time.Minute
	}
	m := w.m.ways["mesh"].m
	if m.delivery < 0.55 || m.delivery > 0.9 || m.latency < 2900*time.Millisecond || m.latency > 3100*time.Millisecond {
		t.Errorf("%+v", m)
	}
}

// What is not answered is not heaped up: sends into a jam only make it longer.
func TestABacklogOfAlarmsKeepsToTheWindow(t *testing.T) {
	w := bench(t, shipped(t), 1, "satellite")
	w.open("satellite")
	for i := range 2000 {
		w.post(Alarm, number("a", i), 1000)
	}
	for range 50 {
		w.turn()
		w.now += 10 * time.Millisecond
	}
	if n := len(w.m.ways["satellite"].out); n != 16 {
		t.Errorf("%d parcels are out, the window is 16", n)
	}
	w.post(Warning, "red", 40)
	w.turn()
	w.want("red", "satellite ")
}

func TestAParcelThatThreeLaterOnesOvertookIsSentAgainAtOnce(t *testing.T) {
	w := bench(t, shipped(t), 1, "satellite")
	w.open("satellite")
	for i := range 5 {
		w.post(Command, number("c", i), 1000)
		w.turn()
	}
	for i := 1; i < 5; i++ {
		w.now += 10 * time.Millisecond
		w.m.Ack(w.now, "satellite", []Ack{{ID: number("c", i)}})
		w.turn()
		if i < overtaken {
			w.want("c000", "satellite ")
		}
	}
	w.now += time.Second // the random pause before it goes again
	w.turn()
	w.want("c000", "satellite satellite ")
	if w.state("satellite") != Up {
		t.Error("a link that answers is held for", w.state("satellite"))
	}
}
