package courier

import (
	"testing"
	"time"
)

func TestNoMonthCostsMoreThanItsBudgetAndTheReserveIsForWarnings(t *testing.T) {
	for _, c := range []struct {
		name  string
		class Class
		least float64 // of the full bucket, where spending ends
	}{
		{"an alarm leaves the reserve", Alarm, 0.3},
		{"a command uses the reserve", Command, 0},
		{"a receipt uses the reserve", Receipt, 0},
		{"a warning overdraws", Warning, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := bench(t, shipped(t), 1, "sms")
			w.open("sms")
			_, full := w.m.Balance(w.now, "sms")
			w.m.SetBalance(w.now, "sms", full*c.least+1, 0) // one yuan left above it: ten messages
			for i := range 40 {
				w.post(c.class, number("x", i), 80)
			}
			w.run(40*10*time.Second, all)
			got, _ := w.m.Balance(w.now, "sms")
			if got < full*c.least || got > full*c.least+0.15 || len(w.sent) < 9 || len(w.sent) > 11 {
				t.Errorf("%d messages, balance %v of %v", len(w.sent), got, full)
			}
		})
	}
	b := newBucket(60)
	spent := 0.0
	for now := time.Duration(0); now < month; now += time.Hour {
		b.fill(now)
		for b.balance >= 1 {
			b.spend(1)
			spent++
		}
	}
	if spent > 60 || spent < 58 {
		t.Errorf("a month spent %v of 60", spent)
	}
}

func TestTelemetryNeverTouchesTheReserve(t *testing.T) {
	w := bench(t, shipped(t), 1, "cellular")
	w.open("cellular")
	_, full := w.m.Balance(w.now, "cellular")
	w.m.SetBalance(w.now, "cellular", full*0.3+0.001, 0)
	for i := range 50 {
		w.post(Telemetry, number("t", i), 1000)
	}
	w.run(10*time.Minute, all)
	if got, _ := w.m.Balance(w.now, "cellular"); got < full*0.3 || len(w.sent) == 0 && got > full*0.3+0.002 {
		t.Errorf("balance %v of %v, %d parcels", got, full, len(w.sent))
	}
	w.post(Command, "c", 1000)
	w.turn()
	w.want("c", "cellular ")
}

func TestWhatCertainlyDidNotGoOutIsNotPaid(t *testing.T) {
	for kind, paid := range map[FaultKind]bool{FaultUnsure: true, FaultEarly: false, FaultGone: false, FaultRefused: false, FaultTooLong: false} {
		w := bench(t, shipped(t), 1, "sms")
		w.open("sms")
		w.hold = true
		_, full := w.m.Balance(w.now, "sms")
		w.post(Command, "x", 40)
		p := w.turn()[0]
		w.m.Sent(w.now, p.Link, p.Ticket, &Fault{Kind: kind, Wait: 7 * time.Second})
		if got, _ := w.m.Balance(w.now, "sms"); (got < full) != paid {
			t.Errorf("%v: balance %v of %v", kind, got, full)
		}
		again := w.m.Turn(w.now)
		if len(again.Sends) != 0 {
			t.Errorf("%v: sent again at once", kind)
		}
		w.hold, w.sent = false, nil
		w.run(5*time.Minute, all)
		if tooLong := kind == FaultTooLong; (len(w.sent) == 0) != tooLong {
			t.Errorf("%v: %d parcels later", kind, len(w.sent))
		}
	}
}

// A card of another level may hold what the last one did not.
func TestWhatWasTooLongIsTriedAgainWhenTheCardHoldsMore(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.open("beidou")
	w.hold = true
	w.post(Command, "x", 60)
	p := w.turn()[0]
	w.m.Sent(w.now, p.Link, p.Ticket, &Fault{Kind: FaultTooLong})
	w.m.SetLimits(w.now, "beidou", Limits{May: true, Bytes: 106})
	w.sent = nil
	w.now += time.Minute
	w.turn()
	w.want("x", "beidou ")
}

func TestABucketGainsOverARestartOnlyWithATrustedClock(t *testing.T) {
	w := bench(t, shipped(t), 1, "sms")
	w.m.SetBalance(w.now, "sms", 0, 0)
	if got, _ := w.m.Balance(w.now, "sms"); got != 0 {
		t.Error(got)
	}
	w.m.SetBalance(w.now, "sms", 0, 15*24*time.Hour)
	if got, full := w.m.Balance(w.now, "sms"); got < full*0.49 || got > full*0.51 {
		t.Errorf("half a month gave %v of %v", got, full)
	}
}
