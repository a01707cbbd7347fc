package talk

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

func private(t testing.TB, seed byte) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{seed}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func order(talker *ecdh.PrivateKey, box string) Order {
	return Order{Digest: sha256.Sum256([]byte("an order")), Box: box, Talker: talker.PublicKey().Bytes()}
}

func boxKey(t testing.TB) (*trust.PrivateKey, trust.KeyID) {
	t.Helper()
	s, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	id, err := trust.IDOf(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return s, id
}

// pair opens a session between a talker and a box.
func pair(t testing.TB) (*Mouth, *Ear) {
	t.Helper()
	s, id := boxKey(t)
	return pairOf(t, s, id)
}

func pairOf(t testing.TB, s trust.Signer, id trust.KeyID) (*Mouth, *Ear) {
	t.Helper()
	own := private(t, 1)
	o := order(own, "330483105203")
	answer, ear, err := Accept(o, phrase.Text{ZH: "请讲", EN: "speak"}, s)
	if err != nil {
		t.Fatal(err)
	}
	a, mouth, err := Join(answer, o, own, id)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Open || a.Outcome.ZH != "请讲" || mouth.ID() != ear.ID() {
		t.Fatalf("%+v", a)
	}
	return mouth, ear
}

func TestWhatIsSaidIsHeardByThisBoxAlone(t *testing.T) {
	mouth, ear := pair(t)
	_, other := pair(t)
	for n := uint32(1); n < 50; n++ {
		voice := bytes.Repeat([]byte{byte(n)}, 160)
		b, err := mouth.Voice(voice)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, voice[:16]) {
			t.Fatal("the voice can be read on the way")
		}
		if _, err := other.Open(b, 160); !errors.Is(err, ErrForeign) {
			t.Fatalf("another session opened it: %v", err)
		}
		f, err := ear.Open(b, 160)
		if err != nil || f.Kind != KindVoice || f.Number != n || !bytes.Equal(f.Voice, voice) {
			t.Fatalf("%+v %v", f, err)
		}
		if _, err := ear.Open(b, 160); !errors.Is(err, ErrAgain) {
			t.Fatalf("it was opened again: %v", err)
		}
	}
	f, err := ear.Open(mouth.End(), 160)
	if err != nil || f.Kind != KindEnd || f.Last != 49 {
		t.Errorf("%+v %v", f, err)
	}
	if f, err = ear.Open(mouth.End(), 160); err != nil || f.Kind != KindEnd {
		t.Errorf("the end came once: %+v %v", f, err)
	}
}

func TestEveryBitThatIsChangedIsSeen(t *testing.T) {
	mouth, ear := pair(t)
	b, _ := mouth.Voice(make([]byte, 160))
	for i := range len(b) * 8 {
		bad := bytes.Clone(b)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := ear.Open(bad, 160); !errors.Is(err, ErrForeign) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
	if _, err := ear.Open(b[:len(b)-1], 160); err == nil {
		t.Error("a cut frame opens")
	}
	if _, err := ear.Open(b, 160); err != nil {
		t.Errorf("what was forged used the number up: %v", err)
	}
	long, _ := mouth.Voice(make([]byte, 320))
	if _, err := ear.Open(long, 160); err == nil {
		t.Error("a frame of another length than ordered is taken")
	}
}

func TestFramesComeInAnyOrderWithinTheWindow(t *testing.T) {
	mouth, ear := pair(t)
	var all [][]byte
	for range 100 {
		b, _ := mouth.Voice(make([]byte, 160))
		all = append(all, b)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, b := range all {
		if _, err := ear.Open(b, 160); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range all {
		if _, err := ear.Open(b, 160); !errors.Is(err, ErrAgain) {
			t.Fatal(err)
		}
	}
	mouth.Skip(500)
	b, _ := mouth.Voice(make([]byte, 160))
	if f, err := ear.Open(b, 160); err != nil || f.Number != 601 {
		t.Fatal(f, err)
	}
}

func TestAReportGoesBackSealed(t *testing.T) {
	mouth, ear := pair(t)
	want := Report{State: Speaking, Received: 50, Played: 40, Outputs: []string{"horn"}, Why: phrase.Text{ZH: "好"}}
	b, err := ear.Report(want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ear.Open(b, 160); !errors.Is(err, ErrForeign) {
		t.Errorf("a report sent back is a frame: %v", err)
	}
	got, err := mouth.Report(b)
	if err != nil || got.State != Speaking || got.Received != 50 || got.Outputs[0] != "horn" || got.Why.ZH != "好" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := mouth.Report(b); !errors.Is(err, ErrAgain) {
		t.Errorf("again: %v", err)
	}
	v, _ := mouth.Voice(make([]byte, 160))
	if _, err := mouth.Report(v); !errors.Is(err, ErrForeign) {
		t.Errorf("a frame sent back is a report: %v", err)
	}
}

func TestATalkerBelievesOnlyTheBoxThatItMeans(t *testing.T) {
	s, id := boxKey(t)
	own := private(t, 1)
	o := order(own, "330483105203")
	answer, _, err := Accept(o, phrase.Text{}, s)
	if err != nil {
		t.Fatal(err)
	}
	code := func(err error) string { return phrase.Of(err).Code }
	_, stranger := boxKey(t)
	if _, _, err := Join(answer, o, own, stranger); code(err) != "talk.stranger" {
		t.Errorf("a stranger's answer: %v", err)
	}
	other := o
	other.Digest[0] ^= 1
	if _, _, err := Join(answer, other, own, id); code(err) != "talk.other" {
		t.Errorf("the answer to another order: %v", err)
	}
	other = o
	other.Box = "330483105999"
	if _, _, err := Join(answer, other, own, id); code(err) != "talk.other" {
		t.Errorf("another box's answer: %v", err)
	}
	// Whoever carries it puts a key of its own in: the signature no longer holds.
	var e map[string]json.RawMessage
	var payload []byte
	if json.Unmarshal(answer, &e) != nil || json.Unmarshal(e["payload"], &payload) != nil {
		t.Fatal("no envelope")
	}
	var a Answer
	if err := json.Unmarshal(payload, &a); err != nil {
		t.Fatal(err)
	}
	a.Key = hex.EncodeToString(private(t, 9).PublicKey().Bytes())
	payload, _ = json.Marshal(a)
	e["payload"], _ = json.Marshal(payload)
	forged, _ := json.Marshal(e)
	if _, _, err := Join(forged, o, own, id); code(err) != "talk.answer" {
		t.Errorf("a key in the middle: %v", err)
	}
	no, err := Refuse(o, phrase.Text{ZH: "不", EN: "no"}, s)
	if err != nil {
		t.Fatal(err)
	}
	got, m, err := Join(no, o, own, id)
	if err != nil || m != nil || got.Open || got.Outcome.EN != "no" {
		t.Errorf("%+v %v %v", got, m, err)
	}
	if d, ok := OrderOf(no); !ok || d != hex.EncodeToString(o.Digest[:]) {
		t.Errorf("%s %v", d, ok)
	}
}

func TestAKeyThatMakesNoSecretIsRefused(t *testing.T) {
	s, _ := boxKey(t)
	o := order(private(t, 1), "b")
	o.Talker = make([]byte, 32) // of low order: whatever the other has, the secret is zero
	if _, _, err := Accept(o, phrase.Text{}, s); phrase.Of(err).Code != "talk.key" {
		t.Error(err)
	}
	for _, bad := range []string{"", "zz", "00ff"} {
		if _, err := ReadKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

// vectors are what another implementation must get, byte for byte.
type vectors struct {
	TalkerPrivate string   `json:"talker_private"`
	TalkerPublic  string   `json:"talker_public"`
	BoxPrivate    string   `json:"box_private"`
	BoxPublic     string   `json:"box_public"`
	Order         string   `json:"order_sha256"`
	Box           string   `json:"box"`
	ID            string   `json:"id"`
	Plain         []string `json:"plain"`
	Frames        []string `json:"frames"`
	Report        string   `json:"report_plain"`
	ReportFrame   string   `json:"report_frame"`
}

func TestTheGoldenVectorsHold(t *testing.T) {
	talker, box := private(t, 1), private(t, 2)
	o := order(talker, "330483105203")
	s, id := boxKey(t)
	answer, ear, err := accept(o, phrase.Text{}, s, box)
	if err != nil {
		t.Fatal(err)
	}
	_, mouth, err := Join(answer, o, talker, id)
	if err != nil {
		t.Fatal(err)
	}
	h := hex.EncodeToString
	eid := ear.ID()
	got := vectors{TalkerPrivate: h(talker.Bytes()), TalkerPublic: h(talker.PublicKey().Bytes()), BoxPrivate: h(box.Bytes()), BoxPublic: h(box.PublicKey().Bytes()),
		Order: h(o.Digest[:]), Box: o.Box, ID: h(eid[:])}
	for n := range 3 {
		plain := bytes.Repeat([]byte{0xD5 - byte(n)}, 160)
		f, err := mouth.Voice(plain)
		if err != nil {
			t.Fatal(err)
		}
		got.Plain, got.Frames = append(got.Plain, h(plain)), append(got.Frames, h(f))
	}
	got.Plain, got.Frames = append(got.Plain, "00000003"), append(got.Frames, h(mouth.End()))
	r := Report{State: Ended, Received: 3, Played: 3}
	plain, _ := json.Marshal(r)
	f, err := ear.Report(r)
	if err != nil {
		t.Fatal(err)
	}
	got.Report, got.ReportFrame = string(plain), h(f)
	file := filepath.Join("testdata", "vectors.json")
	b, _ := json.MarshalIndent(got, "", "  ")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(want), b) {
		t.Errorf("the format has changed:\n%s", b)
	}
}

func FuzzEar(f *testing.F) {
	s, id := boxKey(f)
	mouth, _ := pairOf(f, s, id) // another session's: nothing of it opens in this one
	_, ear := pairOf(f, s, id)
	k := ear.keys
	b, _ := mouth.Voice(make([]byte, 160))
	f.Add(b, []byte{})
	f.Add(mouth.End(), []byte("1"))
	f.Add([]byte{0x11}, make([]byte, 160))
	f.Fuzz(func(t *testing.T, b, plain []byte) {
		m, e := &Mouth{keys: k}, &Ear{keys: k}
		if _, err := e.Open(b, 160); err == nil {
			t.Fatal("what nobody sealed was opened")
		}
		// What the talker itself seals is taken, or refused by its form, and never by panic.
		for _, k := range []Kind{KindVoice, KindEnd} {
			m.sent++
			fr, err := e.Open(m.keys.seal(k, m.sent, plain), 160)
			if err == nil && (k == KindVoice && len(fr.Voice) != 160 || k == KindEnd && len(plain) != 4) {
				t.Fatalf("%+v", fr)
			}
		}
		_, _ = m.Report(e.keys.seal(KindReport, 1, plain))
	})
}

func FuzzAnswer(f *testing.F) {
	s, id := boxKey(f)
	own := private(f, 1)
	o := order(own, "330483105203")
	good, _, _ := Accept(o, phrase.Text{ZH: "请讲"}, s)
	no, _ := Refuse(o, phrase.Text{ZH: "不"}, s)
	f.Add(good)
	f.Add(no)
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.tocsin.talk-answer.v1+json","signatures":[{"sig":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		OrderOf(b)
		a, m, err := Join(b, o, own, id)
		if err == nil && (a.Box != o.Box || a.Open != (m != nil)) {
			t.Fatalf("%+v", a)
		}
		// The same payload under the box's own signature.
		if sealed, err := trust.SealDSSE(AnswerType, b, s); err == nil {
			if a, m, err := Join(sealed, o, own, id); err == nil && a.Open != (m != nil) {
				t.Fatalf("%+v", a)
			}
		}
	})
}
