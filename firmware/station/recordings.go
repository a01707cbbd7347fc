package station

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/speech"
)

// recordingShelf keeps the village's own messages. What is in use lies in RAM, as every clip does, and on the disk for
// the next start; what nobody has approved lies in RAM alone. Nothing of it is on the alarm path: a plan never
// names one, and a folder that cannot be read costs its messages alone.
type recordingShelf struct {
	taking sync.Mutex
	// writing is held while the disk is asked, mu never is: the page of who warns lists messages.
	writing sync.Mutex
	write   func(name string, b []byte) error
	mu      sync.Mutex
	dir     string
	all     map[string]api.Recording
	sound   map[string][]byte // the files by id, packed
	base    *speech.Bank
	voices  atomic.Pointer[speech.Bank] // base and those in use
}

// Bounds of what people record.
const (
	recordingsDir  = "recordings"
	recordingsMost = 8 // each is a button of a page that must stay small
	draftsMost     = 4 // that wait for somebody to listen
	recordingBytes = 1 << 20
	recordPrefix   = "rec-"
)

// begin gives what may be said before the disk was asked.
func (r *recordingShelf) begin(dir string, base *speech.Bank) {
	r.dir, r.base, r.all, r.sound = dir, base, map[string]api.Recording{}, map[string][]byte{}
	r.voices.Store(base)
	r.write = r.put
}

// startRecordings reads what an earlier run kept, beside the start: no disk holds that up.
func (h *House) startRecordings() {
	h.guard.Go("keep", "recordings", guard.Once, func(context.Context) error {
		if n := h.recordings.recall(); n > 0 {
			h.setFault("recordings", phrase.M("station.recordings_broken", "n", n))
		}
		return nil
	})
}

// recall reads what an earlier run kept. It gives how many could not be read.
func (r *recordingShelf) recall() (broken int) {
	files, _ := filepath.Glob(filepath.Join(r.dir, recordPrefix+"*.json"))
	for _, f := range files[:min(len(files), recordingsMost)] {
		id := strings.TrimSuffix(filepath.Base(f), ".json")
		var x api.Recording
		b, err := readBounded(f, 4096)
		if err == nil {
			err = json.Unmarshal(b, &x)
		}
		var sound []byte
		if err == nil {
			sound, err = readBounded(filepath.Join(r.dir, id+".wav"), recordingBytes)
		}
		if err == nil {
			_, err = speech.OneClip(id, sound)
		}
		if err != nil || x.ID != id {
			broken++
			continue
		}
		r.mu.Lock()
		r.all[id], r.sound[id] = x, sound
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renew()
	return broken
}

func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("longer than %d bytes", most)
	}
	return b, err
}

// renew makes the bank of what may be said. Called with mu held.
func (r *recordingShelf) renew() {
	bank := r.base
	for id, x := range r.all {
		if !x.Used {
			continue
		}
		if one, err := speech.OneClip(id, r.sound[id]); err == nil {
			bank = bank.Plus(one)
		}
	}
	r.voices.Store(bank)
}

// list gives them, the oldest first.
func (r *recordingShelf) list() []api.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.all), func(a, b api.Recording) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// count tells how many are in use, or are not. Called with mu held.
func (r *recordingShelf) count(used bool) (n int) {
	for _, x := range r.all {
		if x.Used == used {
			n++
		}
	}
	return n
}

// Record takes what somebody recorded. The oldest that nobody approved makes room.
func (h *House) Record(name string, wav io.Reader, who api.Who) (api.Recording, error) {
	name = api.Clean(name, 40)
	if name == "" {
		return api.Recording{}, phrase.E("station.recording_name")
	}
	// One at a time: what comes in lies in memory.
	if !h.recordings.taking.TryLock() {
		return api.Recording{}, phrase.E("station.busy")
	}
	defer h.recordings.taking.Unlock()
	b, long, err := speech.Recorded(wav, h.seen().bp.ByHand.Recordings.Longest.Duration())
	if err != nil {
		return api.Recording{}, err
	}
	if len(b) > recordingBytes {
		return api.Recording{}, phrase.E("speech.recorded.long", "seconds", int(long.Seconds()), "most", int(h.seen().bp.ByHand.Recordings.Longest.Duration().Seconds()))
	}
	now := h.clock.Now()
	x := api.Recording{ID: recordPrefix + nonce()[:8], Name: name, Who: who.Name, At: now.Wall, Long: long}
	r := &h.recordings
	r.mu.Lock()
	if r.count(false) >= draftsMost {
		oldest := api.Recording{}
		for _, y := range r.all {
			if !y.Used && (oldest.ID == "" || y.At.Before(oldest.At)) {
				oldest = y
			}
		}
		delete(r.all, oldest.ID)
		delete(r.sound, oldest.ID)
	}
	r.all[x.ID], r.sound[x.ID] = x, b
	r.mu.Unlock()
	h.write(journal.Record{Kind: "announcer.recorded", Who: who.Name, Via: who.Via, At: now, Message: phrase.M("station.recorded", "who", who.Name, "message", name, "seconds", int(long.Seconds()+0.5))}, nil)
	return x, nil
}

// Recorded gives the sound of one: whoever asks listens.
func (h *House) Recorded(id string) ([]byte, error) {
	r := &h.recordings
	r.mu.Lock()
	x, ok := r.all[id]
	b := r.sound[id]
	if ok {
		x.Heard = true
		r.all[id] = x
	}
	r.mu.Unlock()
	if !ok {
		return nil, recordingGone()
	}
	p, err := speech.ReadWAV(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer // not every browser plays four bits a sample
	if err := speech.WriteWAV(&out, p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func recordingGone() error {
	return &phrase.Error{Message: phrase.M("station.recording_gone"), Err: api.ErrUnknown}
}

// UseRecording puts one among the messages once somebody has listened to it. It is on the disk before it counts.
func (h *House) UseRecording(id string, who api.Who) error {
	most := h.seen().bp.ByHand.Recordings.Most
	r := &h.recordings
	if !r.writing.TryLock() {
		return phrase.E("station.busy")
	}
	defer r.writing.Unlock()
	r.mu.Lock()
	x, ok := r.all[id]
	sound, used := r.sound[id], r.count(true)
	r.mu.Unlock()
	switch {
	case !ok:
		return recordingGone()
	case x.Used:
		return nil
	case !x.Heard:
		return phrase.E("station.recording_unheard")
	case used >= most:
		return phrase.E("station.recordings_full", "most", most)
	}
	x.Used = true
	b, _ := json.Marshal(x)
	err := r.write(id+".wav", sound)
	if err == nil {
		err = r.write(id+".json", b)
	}
	if err != nil {
		return phrase.Wrap(err, "station.recording_unkept", "detail", err)
	}
	r.mu.Lock()
	r.all[id], r.sound[id] = x, sound // a newer draft may have taken its place meanwhile
	r.renew()
	r.mu.Unlock()
	h.write(journal.Record{Kind: "announcer.recording_used", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: phrase.M("station.recording_used", "who", who.Name, "message", x.Name)}, nil)
	return nil
}

// DropRecording deletes one. What sounds now is sounded out.
func (h *House) DropRecording(id string, who api.Who) error {
	r := &h.recordings
	if !r.writing.TryLock() {
		return phrase.E("station.busy")
	}
	defer r.writing.Unlock()
	r.mu.Lock()
	x, ok := r.all[id]
	r.mu.Unlock()
	if !ok {
		return recordingGone()
	}
	// First what names it: without that its sound is nobody's.
	for _, f := range []string{id + ".json", id + ".wav"} {
		if err := os.Remove(filepath.Join(r.dir, f)); err != nil && !os.IsNotExist(err) {
			return phrase.Wrap(err, "station.recording_unkept", "detail", err)
		}
	}
	r.mu.Lock()
	delete(r.all, id)
	delete(r.sound, id)
	r.renew()
	r.mu.Unlock()
	h.write(journal.Record{Kind: "announcer.recording_deleted", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: phrase.M("station.recording_deleted", "who", who.Name, "message", x.Name)}, nil)
	return nil
}

// put writes a file whole or not at all.
func (r *recordingShelf) put(name string, b []byte) error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(r.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(r.dir, name))
	}
	return err
}

// recordedMessage is a recording in use as a message.
func (h *House) recordedMessage(bp *Blueprint, x api.Recording) MessagePlan {
	b := bp.ByHand.Recordings
	outs, _ := bp.speakersOf(nil)
	return MessagePlan{ID: x.ID, Outputs: outs, For: b.For.Duration(), Config: config.Message{Name: phrase.Text{ZH: x.Name, EN: x.Name}, Tone: b.Tone, Clips: []string{x.ID}}}
}

// messageOf finds what is said with one button, and the languages that it is said in.
func (h *House) messageOf(bp *Blueprint, id string) (MessagePlan, []speech.Lang, bool) {
	if i := slices.IndexFunc(bp.ByHand.Messages, func(m MessagePlan) bool { return m.ID == id }); i >= 0 {
		return bp.ByHand.Messages[i], bp.Langs, true
	}
	for _, x := range h.recordings.list() {
		if x.ID == id && x.Used {
			return h.recordedMessage(bp, x), []speech.Lang{speech.Village}, true
		}
	}
	return MessagePlan{}, nil, false
}

// mayRecord tells whether the bounds let a recording be said: found out here, not on the night.
func (p *prover) mayRecord(b config.Recordings) {
	outs, err := p.bp.speakersOf(nil)
	if err != nil {
		return // nothing here speaks
	}
	m := MessagePlan{Outputs: outs, For: min(b.For.Duration(), messageLongest), Config: config.Message{Tone: b.Tone, Clips: []string{recordPrefix + "proof"}}}
	if err := p.mayAsk(m.ask("proof", order.Who{Name: "proof", Via: "check"}, []speech.Lang{speech.Village})); err != nil {
		p.warn(phrase.M("site.message_bounds", "message", "recordings", "detail", err), "announcer", "recordings")
	}
}
