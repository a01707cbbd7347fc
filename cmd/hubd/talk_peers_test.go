//go:build peers

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/cmd/hubd/talk"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
	"tocsin/hwtest/built"
	"tocsin/hwtest/ear"
)

// talkSite is a village's with a loudspeaker and one way to the county.
const talkSite = `version: 1
site: {id: "330483105203", name: {zh: 环渡村, en: Huandu}, datum: 1985, languages: [cmn]}
outputs:
  horn: {kind: loudspeaker, file: HORN, zones: [dam]}
page: {listen: "off"}
county: {number: 17, root: box.root}
links:
  fibre: {kind: nats, servers: ["NATS"], ca: ca.pem, certificate: box.pem, certificate_key: box.key, seed: box.seed}
alerts:
  trust:
    issuers:
      office:
        name: {zh: 桐乡市应急局, en: Tongxiang office}
        senders: [office@county.example]
        keys: [{file: talk.pub, person: wang}, {file: second.pub, person: li}]
        grant: {kinds: [real, drill], most_level: prepare, scopes: [talk], persons: {talk: PERSONS}}
`

// talkBox is a real box, as it is built, with its loudspeaker.
type talkBox struct {
	w       *world
	h       *hub
	horn    string
	key     string // files of the office's keys
	second  string
	station letter.Station
}

func newTalkBox(t *testing.T, persons int) *talkBox {
	w := newWorld(t)
	b := &talkBox{w: w, station: upper, key: filepath.Join(w.dir, "talk.key"), second: filepath.Join(w.dir, "second.key")}
	edged := filepath.Join(w.dir, "edged")
	built.Into(t, w.dir, "edged", "edged-desk")
	short, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	pair := func(name string, kind trust.Kind) *trust.PrivateKey {
		k, err := trust.NewSigner(kind)
		if err != nil {
			t.Fatal(err)
		}
		private, _ := k.PEM()
		public, _ := trust.PublicPEM(k.Public())
		w.write(name+".key", private)
		w.write(name+".pub", public)
		return k
	}
	pair("talk", trust.Ed25519)
	pair("second", trust.SM2)
	data := filepath.Join(short, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	own := pair("own", trust.P256)
	private, _ := own.PEM()
	if err := os.WriteFile(filepath.Join(data, "box.key"), private, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := trust.IDOf(own.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("hub.yaml", []byte(strings.NewReplacer(fmt.Sprintf("psk: %s.psk}", upper), fmt.Sprintf("psk: %s.psk, number: 17, root: %s.psk, box: %s}", upper, upper, id),
		"stations:\n", "talk: {keys: [talk.key]}\nstations:\n").Replace(string(text))))
	b.h, _ = w.hub()

	o := w.natsOpts(upper, b.h.engine.Addr().String())
	for name, x := range map[string][]byte{"box.root": []byte(fmt.Sprintf("%x", w.root[upper])), "box.pem": o.Certificate, "box.key": o.Key, "box.seed": o.Seed} {
		w.write(name, x)
	}
	b.horn = filepath.Join(w.dir, "horn")
	log, err := os.Create(filepath.Join(w.dir, "edged.log"))
	if err != nil {
		t.Fatal(err)
	}
	site := strings.NewReplacer("HORN", b.horn, "NATS", b.h.engine.Addr().String(), "PERSONS", fmt.Sprint(persons)).Replace(talkSite)
	box := exec.Command(edged, "run", "-c", w.write("site.yaml", []byte(site)), "--data", data, "--socket", filepath.Join(short, "s"))
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		_ = box.Wait()
		if x, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the box:\n%s", x)
		}
	})
	until(t, "the box is there", func() bool { return b.h.book.State().Stations[upper].Ready })
	return b
}

// syllables are a voice that is like itself at no other time, 8 kHz.
func syllables(d time.Duration) []int16 {
	r := rand.New(rand.NewPCG(3, 4))
	s := make([]int16, int(d.Seconds()*8000))
	pitch, strength, phase, left := 120.0, 0.0, 0.0, 0
	for i := range s {
		if left--; left < 0 {
			pitch, strength, left = 90+r.Float64()*120, []float64{0, 0.5, 1, 0.8}[r.IntN(4)], 700+r.IntN(1500)
		}
		phase += pitch / 8000
		x := 0.0
		for h := 1.0; h < 9; h++ {
			x += math.Sin(2*math.Pi*phase*h) / h
		}
		s[i] = int16(6000 * strength * x)
	}
	return s
}

// wav writes them as a file of 8 kHz.
func (b *talkBox) wav(s []int16) string {
	var f bytes.Buffer
	f.WriteString("RIFF")
	for _, v := range []any{uint32(36 + 2*len(s)), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(8000), uint32(16000), uint16(2), uint16(16), []byte("data"), uint32(2 * len(s)), s} {
		binary.Write(&f, binary.LittleEndian, v)
	}
	return b.w.write("voice.wav", f.Bytes())
}

// played tells how like what the loudspeaker gave last is to a voice.
func (b *talkBox) played(t *testing.T, voice []int16) float64 {
	t.Helper()
	s, err := ear.Load(filepath.Join(b.horn, "latest.wav"))
	if err != nil {
		t.Fatal(err)
	}
	_, c := s.Like(voice, 8000)
	return c
}

// TestARealHubSpeaksByARealBox has the daemons carry a voice as they are built: from the desk's command
// and from the page's room, over NATS.
func TestARealHubSpeaksByARealBox(t *testing.T) {
	t.Parallel()
	b := newTalkBox(t, 1)
	voice := syllables(3 * time.Second)
	var out bytes.Buffer
	cmd := TalkCmd{File: b.wav(voice), Station: string(upper), Key: []string{b.key}, Person: "王建国", Why: "水库放水", Kind: "real", Zone: []string{"dam"}, Config: b.w.file}
	if err := cmd.Run(&Globals{Lang: "en", Out: &out}); err != nil {
		t.Fatal(err, out.String())
	}
	if c := b.played(t, voice); c < 0.8 {
		t.Errorf("what was played is like what was said by %.3f only", c)
	}
	if !strings.Contains(out.String(), "may speak") || !strings.Contains(out.String(), "1 loudspeakers") || !strings.Contains(out.String(), "let go") {
		t.Errorf("said: %s", out.String())
	}
	t.Logf("%s", out.String())

	// The page gives pieces of a fifth of a second.
	v, err := b.h.talkerOf().Talk(context.Background(), upper, "王芳", "水库放水")
	if err != nil {
		t.Fatal(err)
	}
	alaw, err := talk.ReadWAV(cmd.File)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i+1600 <= len(alaw); i += 1600 {
		<-tick.C
		if _, err := v.Write(alaw[i : i+1600]); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if c := b.played(t, voice); c < 0.8 {
		t.Errorf("the page's voice was played like it by %.3f only", c)
	}

	// Who holds no key that the station trusts speaks to nobody, and a box that is not the pinned one is not believed.
	cmd.Key = []string{b.w.write("stranger.key", newPEM(t))}
	if err := cmd.Run(&Globals{Lang: "en", Out: &out}); err == nil || !strings.Contains(err.Error(), "not pinned") {
		t.Errorf("a stranger: %v", err)
	}
	cmd.Key, cmd.Level = []string{b.key}, "evacuate"
	if err := cmd.Run(&Globals{Lang: "en", Out: &out}); err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("above its grant: %v", err)
	}
}

func TestATalkNeedsTwoPersonsWhereTheStationAsksForTwo(t *testing.T) {
	t.Parallel()
	b := newTalkBox(t, 2)
	voice := syllables(2 * time.Second)
	var out bytes.Buffer
	cmd := TalkCmd{File: b.wav(voice), Station: string(upper), Key: []string{b.key}, Person: "王建国", Kind: "real", Config: b.w.file}
	if err := cmd.Run(&Globals{Lang: "en", Out: &out}); err == nil {
		t.Fatalf("one person spoke: %s", out.String())
	}
	time.Sleep(time.Second) // the next number
	cmd.Key = []string{b.key, b.second}
	if err := cmd.Run(&Globals{Lang: "en", Out: &out}); err != nil {
		t.Fatal(err)
	}
	if c := b.played(t, voice); c < 0.8 {
		t.Errorf("likeness %.3f", c)
	}
}

func newPEM(t *testing.T) []byte {
	k, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := k.PEM()
	return b
}
