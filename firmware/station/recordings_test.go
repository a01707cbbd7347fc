package station

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
)

// voice is a WAV file of somebody who speaks for so long, as a browser makes it.
func voice(t *testing.T, long time.Duration, rate int, db float64) []byte {
	t.Helper()
	b, err := configs.FS.ReadFile("clips/move-now.cmn.wav")
	if err != nil {
		t.Fatal(err)
	}
	p, err := speech.ReadWAV(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	p = speech.Resample(p, rate)
	n := int(long * time.Duration(rate) / time.Second)
	for len(p.Samples) < n {
		p.Samples = append(p.Samples, p.Samples...)
	}
	p.Samples = p.Samples[:n]
	p = speech.Level(p, speech.Loudness{RMS: db, Peak: -1})
	var out bytes.Buffer
	if err := speech.WriteWAV(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestARecordingIsListenedToBeforeItIsSaid(t *testing.T) {
	t.Parallel()
	w, horn := newHandTown(t)
	w.start()
	h := w.house.Load()
	chen := api.Who{Name: "陈志强", Via: "page"}
	refused := func(what string, err error, code string) {
		t.Helper()
		if got := phrase.Of(err).Code; err == nil || got != code {
			t.Errorf("%s: %v (%s), not %s", what, err, got, code)
		}
	}
	for code, wav := range map[string][]byte{
		"speech.recorded.format": []byte("\x00\x00\x00\x18ftypM4A "),
		"speech.recorded.long":   voice(t, 50*time.Second, 16000, -20),
		"speech.recorded.short":  voice(t, 600*time.Millisecond, 16000, -20),
		"speech.recorded.faint":  voice(t, 3*time.Second, 48000, -70),
	} {
		_, err := h.Record("停水", bytes.NewReader(wav), chen)
		refused(code, err, code)
	}
	_, err := h.Record(" \n", bytes.NewReader(voice(t, 3*time.Second, 48000, -20)), chen)
	refused("no name", err, "station.recording_name")

	x, err := h.Record("停水通知", bytes.NewReader(voice(t, 4*time.Second, 44100, -38)), chen)
	if err != nil || x.Used || x.Long < 3*time.Second || x.Long > 4200*time.Millisecond {
		t.Fatalf("%v %+v", err, x)
	}
	refused("unheard", h.UseRecording(x.ID, chen), "station.recording_unheard")
	if r := w.asks("/announcer/messages/"+x.ID, api.SayAsk{Who: "陈志强"}, nil); r != "station.say_unknown" {
		t.Errorf("said before anybody listened: %q", r)
	}
	wav, err := h.Recorded(x.ID)
	if err != nil {
		t.Fatal(err)
	}
	p, err := speech.ReadWAV(bytes.NewReader(wav))
	if rms, peak := speech.Measure(p.Samples); err != nil || rms < -18 || rms > -14 || peak > -2.9 {
		t.Errorf("a faint voice is given back at %.1f dBFS, peak %.1f (%v)", rms, peak, err)
	}
	if err := h.UseRecording(x.ID, chen); err != nil {
		t.Fatal(err)
	}
	// What it costs is bounded: drafts push out drafts, and nothing in use.
	for range 6 {
		if _, err := h.Record("再来", bytes.NewReader(voice(t, 2*time.Second, 16000, -20)), chen); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.recordings.list()); n != 1+draftsMost {
		t.Errorf("%d are kept", n)
	}

	// It goes on after a restart, without the drafts.
	w.halt()
	w.start()
	h = w.house.Load()
	w.until("it is there again", func() bool { return len(h.Announcer().Recordings) == 1 })
	var said api.Said
	if r := w.asks("/announcer/messages/"+x.ID, api.SayAsk{Who: "陈志强"}, &said); r != "" || len(said.Outputs) != 1 {
		t.Fatalf("%q %+v", r, said)
	}
	w.recorded("receipt.started", said.Cause)
	w.within(patience, "it is heard", func() bool { return len(hornPlayed(t, horn)) > 9*earRate })
	if _, like := find(hornPlayed(t, horn), speech.Resample(p, earRate).Samples); like < 0.9 {
		t.Errorf("the horn played something else (%.2f)", like)
	}
	w.post("/stop", map[string]string{"who": "陈志强"})
	if err := h.DropRecording(x.ID, chen); err != nil {
		t.Fatal(err)
	}
	if r := w.asks("/announcer/messages/"+x.ID, api.SayAsk{Who: "陈志强"}, nil); r != "station.say_unknown" {
		t.Errorf("said after it was deleted: %q", r)
	}
	if left, _ := filepath.Glob(filepath.Join(w.data, recordingsDir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, kind := range []string{"announcer.recorded", "announcer.recording_used", "announcer.recording_deleted"} {
		w.recorded(kind, "")
	}
	_, err = h.Recorded(x.ID)
	refused("gone", err, "station.recording_gone")
}

func TestADamagedRecordingCostsItselfAlone(t *testing.T) {
	var r recordingShelf
	dir := t.TempDir()
	good, _, err := speech.Recorded(bytes.NewReader(voice(t, 2*time.Second, 16000, -20)), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"rec-1.json": []byte(`{"id":"rec-1","name":"好","used":true}`), "rec-1.wav": good,
		"rec-2.json": []byte(`{"id":"rec-2","used":true}`), "rec-2.wav": good[:60],
		"rec-3.json": []byte(`{"id":`), "rec-4.json": []byte(`{"id":"rec-1"}`), "rec-4.wav": good,
		"rec-5.json": []byte(`{"id":"rec-5"}`),
		"rec-6.json": bytes.Repeat([]byte(" "), 8192), "rec-7.json": []byte(`{"id":"rec-7"}`), "rec-7.wav": []byte(strings.Repeat("x", recordingBytes+1)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.begin(dir, &speech.Bank{})
	if broken := r.recall(); broken != 6 || len(r.list()) != 1 || !r.voices.Load().Has("rec-1", speech.Village) {
		t.Errorf("%d broken, %+v, %v", broken, r.list(), r.voices.Load().List())
	}
}

// A card that hangs while a recording is kept holds up who keeps it, and nobody who warns.
func TestADiskThatHangsHoldsUpNoListOfMessages(t *testing.T) {
	t.Parallel()
	h := &House{}
	h.shown.bp = &Blueprint{}
	h.shown.bp.ByHand.Recordings.Most = 4
	r := &h.recordings
	r.begin(t.TempDir(), nil)
	hung, goOn := make(chan struct{}), make(chan struct{})
	r.write = func(string, []byte) error { close(hung); <-goOn; return os.ErrDeadlineExceeded }
	r.all["rec-1"] = api.Recording{ID: "rec-1", Name: "停水", Heard: true}
	kept := make(chan error, 1)
	go func() { kept <- h.UseRecording("rec-1", api.Who{Name: "陈志强"}) }()
	<-hung
	listed := make(chan int, 1)
	go func() { listed <- len(h.recordings.list()) }()
	select {
	case n := <-listed:
		if n != 1 {
			t.Errorf("%d recordings", n)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the list waits for the disk")
	}
	if err := h.DropRecording("rec-1", api.Who{}); phrase.Of(err).Code != "station.busy" {
		t.Errorf("a second one at the disk: %v", err)
	}
	close(goOn)
	if err := <-kept; phrase.Of(err).Code != "station.recording_unkept" || h.recordings.list()[0].Used {
		t.Errorf("%v", err)
	}
}
