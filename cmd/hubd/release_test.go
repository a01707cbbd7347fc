package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/releases"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

func TestAStationFetchesOverItsOwnLinkWhatIsOfferedToItAlone(t *testing.T) {
	w := newWorld(t)
	h, _ := w.hub()
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	img := make([]byte, 1<<20)
	rand.Read(img)
	var b bytes.Buffer
	if _, err := pack.Write(&b, update.Release{Version: "1.3", Number: 13, Hardware: []string{"pi"}}, img, nil, key); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.tocsin")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := releases.Open(filepath.Join(w.dir, "data", "releases"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Give(releases.Offer{Number: 13, To: []string{string(upper)}}); err != nil {
		t.Fatal(err)
	}
	up, low := w.link(w.natsOpts(upper, h.engine.Addr().String())), w.link(w.natsOpts(lower, h.engine.Addr().String()))
	ask := letter.ReleaseAsk{Hardware: "pi", Running: "1.2", Number: 12}
	o, err := up.Software(within(5*time.Second), ask)
	if err != nil || o.Number != 13 || o.Size != int64(b.Len()) {
		t.Fatalf("%+v %v", o, err)
	}
	if o, err := low.Software(within(5*time.Second), ask); err != nil || o.Name != "" {
		t.Fatalf("another station is offered %+v, %v", o, err)
	}
	var got []byte
	for int64(len(got)) < o.Size {
		p, err := up.Part(within(5*time.Second), letter.ReleasePart{Name: o.Name, At: int64(len(got)), Long: letter.PartMost})
		if err != nil || len(p) == 0 {
			t.Fatal(len(got), err)
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Fatal("it is not what was put in")
	}
	if p, err := low.Part(within(5*time.Second), letter.ReleasePart{Name: o.Name, Long: 100}); err != nil || len(p) != 0 {
		t.Fatalf("another station fetched %d bytes, %v", len(p), err)
	}
}

// officers makes two persons' keys that the stations trust for a scope, and the hub with them.
func (w *world) officers(scopes string) (wang, li string) {
	w.t.Helper()
	var files []string
	for _, name := range []string{"wang", "li"} {
		k, err := trust.NewSigner(trust.SM2)
		if err != nil {
			w.t.Fatal(err)
		}
		private, _ := k.PEM()
		public, _ := trust.PublicPEM(k.Public())
		files = append(files, w.write(name+".key", private))
		w.write(name+".pub", public)
	}
	w.write("trust.yaml", []byte(`issuers:
  software: {name: {zh: 县应急局, en: County}, keys: [{file: wang.pub, person: wang}, {file: li.pub, person: li}], grant: {scopes: [`+scopes+`], persons: {`+scopes+`: 2}}}
`))
	b, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.Replace(string(b), "stations:\n", "warnings: {trust: trust.yaml}\nstations:\n", 1)
	for n, s := range all {
		text = strings.Replace(text, fmt.Sprintf("psk: %s.psk}", s), fmt.Sprintf("psk: %s.psk, root: %s.psk, number: %d}", s, s, 17+n), 1)
	}
	w.write("hub.yaml", []byte(text))
	return files[0], files[1]
}

// shelve puts a release into the hub, offered to all.
func (w *world) shelve(number uint64, version, hardware string) {
	w.t.Helper()
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		w.t.Fatal(err)
	}
	img := make([]byte, 1<<16)
	rand.Read(img)
	var b bytes.Buffer
	if _, err := pack.Write(&b, update.Release{Version: version, Number: number, Hardware: []string{hardware}}, img, nil, key); err != nil {
		w.t.Fatal(err)
	}
	s, err := releases.Open(filepath.Join(w.dir, "data", "releases"), time.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := s.Add(w.write(fmt.Sprint(number, ".tocsin"), b.Bytes())); err != nil {
		w.t.Fatal(err)
	}
	if err := s.Give(releases.Offer{Number: number, Everybody: true}); err != nil {
		w.t.Fatal(err)
	}
}

// listed is what hubd release list prints of a station.
func (w *world) listed(s letter.Station) console.Software {
	w.t.Helper()
	var out bytes.Buffer
	if err := (&ReleaseListCmd{releaseFile{w.file}}).Run(&Globals{Lang: "zh", Out: &out}); err != nil {
		w.t.Fatal(err)
	}
	var v struct {
		Releases []releases.Release
		Stations []console.Software
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil || len(v.Releases) == 0 {
		w.t.Fatal(err, out.String())
	}
	for _, x := range v.Stations {
		if x.ID == s {
			return x
		}
	}
	w.t.Fatal(out.String())
	return console.Software{}
}

func TestAnOrderForSoftwareIsSignedForEachStationAndRefusedWhereNobodyWouldCarryItOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wang, li := w.officers("software")
	w.shelve(13, "1.3", "pi")
	stranger, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := stranger.PEM()
	strange := w.write("strange.key", private)
	h, _ := w.hub()
	by := orderBy{releaseFile: releaseFile{w.file}, All: true, Key: []string{wang, li}, Person: "王建国"}
	for name, c := range map[string]struct {
		change func(*ReleaseActivateCmd)
		code   string
	}{
		"no such release":     {func(c *ReleaseActivateCmd) { c.Number = 14 }, "hubd.order_release"},
		"no such station":     {func(c *ReleaseActivateCmd) { c.All, c.To = false, []string{"330483105999"} }, "county.no_station"},
		"nobody":              {func(c *ReleaseActivateCmd) { c.All = false }, "hubd.order_nobody"},
		"one person":          {func(c *ReleaseActivateCmd) { c.Key = c.Key[1:] }, "hubd.order_persons"},
		"one person twice":    {func(c *ReleaseActivateCmd) { c.Key = []string{wang, wang} }, "hubd.order_persons"},
		"a stranger's key":    {func(c *ReleaseActivateCmd) { c.Key = []string{strange} }, "hubd.issuer_stranger"},
		"no name":             {func(c *ReleaseActivateCmd) { c.Person = "" }, "command.malformed"},
		"an end in the past":  {func(c *ReleaseActivateCmd) { c.Until = "-1h" }, "hubd.order_until"},
		"too late an end":     {func(c *ReleaseActivateCmd) { c.Until = "169h" }, "hubd.order_until"},
		"over before it may":  {func(c *ReleaseActivateCmd) { c.NotBefore = "25h" }, "hubd.order_until"},
		"no time at all":      {func(c *ReleaseActivateCmd) { c.Until = "tomorrow" }, "hubd.order_time"},
		"no time to begin at": {func(c *ReleaseActivateCmd) { c.NotBefore = "night" }, "hubd.order_time"},
	} {
		x := ReleaseActivateCmd{orderBy: by, Number: 13, Until: "24h"}
		c.change(&x)
		if err := x.Run(&Globals{Lang: "zh", Out: io.Discard}); phrase.Of(err).Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The hub itself takes nothing else by this way, and no station's order for another.
	o := issue.ReleaseOrder{ID: "x1", Number: 13, Person: "王", Issued: time.Now(), Until: time.Now().Add(time.Hour)}
	raw, err := o.Sign(upper, stranger)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"for another": raw, "none": []byte("{}")} {
		if a, err := desk(filepath.Join(w.dir, "data", "hubd.sock")).order(lower, b); err != nil || a.Error.IsZero() || len(a.Sent) > 0 {
			t.Errorf("an order that is %s: %+v %v", what, a, err)
		}
	}
	if n := len(h.post.State().Sent); n != 0 {
		t.Fatalf("%d were sent", n)
	}

	in := w.link(w.natsOpts(upper, h.engine.Addr().String())).Received()
	var out bytes.Buffer
	if err := (&ReleaseActivateCmd{orderBy: by, Number: 13, Until: "48h", NotBefore: "1h"}).Run(&Globals{Lang: "zh", Out: &out}); err != nil || !strings.Contains(out.String(), "3 个站点") {
		t.Fatal(err, out.String())
	}
	select {
	case l := <-in:
		got, err := issue.ReadReleaseOrder(l.Body)
		if err != nil || l.Class != letter.Command || got.Number != 13 || got.Person != "王建国" || got.Station != upper.Code() || got.Until.Sub(got.Issued) != 48*time.Hour || got.NotBefore.Sub(got.Issued) != time.Hour {
			t.Fatalf("%+v %v", got, err)
		}
		l.Done(nil)
	case <-time.After(20 * time.Second):
		t.Fatal("the station got nothing")
	}
	until(t, "the list shows who has it", func() bool {
		up, low := w.listed(upper).Wanted, w.listed(lower).Wanted
		return up != nil && low != nil && up.Link == "fibre" && !up.Taken.IsZero() && !low.Sent.IsZero() && low.Taken.IsZero()
	})
	if s := h.post.State().Sent; len(s) != 1 || len(s[0].To) != 3 || !strings.Contains(s[0].By, "王建国") {
		t.Errorf("one order is shown as %+v", s)
	}
	r, err := http.Get(w.signedIn(h, "owner", "owner") + "/api/v1/audit")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); strings.Count(string(b), `"POST /v1/software"`) != 5 || !strings.Contains(string(b), "王建国") {
		t.Errorf("the audit has %s", b)
	}
	// One right after the other: each is counted by a second of its own.
	var counted []int64
	for range 2 {
		if err := (&ReleaseWithdrawCmd{by}).Run(&Globals{Lang: "en", Out: &out}); err != nil || !strings.Contains(out.String(), "withdraw the order") {
			t.Fatal(err, out.String())
		}
	}
	for range 2 {
		select {
		case l := <-in:
			got, err := issue.ReadReleaseOrder(l.Body)
			if err != nil || got.Number != 0 {
				t.Fatalf("%+v %v", got, err)
			}
			counted = append(counted, got.Issued.Unix())
			l.Done(nil)
		case <-time.After(20 * time.Second):
			t.Fatal("the station got nothing")
		}
	}
	if counted[0] == counted[1] {
		t.Errorf("two orders have one number: %d", counted)
	}
}

// TestAnOrderForSoftwareFitsAShortMessagesFragments holds the longest one that two persons can sign against a BeiDou
// card of level 3.
func TestAnOrderForSoftwareFitsAShortMessagesFragments(t *testing.T) {
	t.Parallel()
	var keys []trust.Signer
	for range 2 {
		k, err := trust.NewSigner(trust.SM2)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	now := time.Now()
	o := issue.ReleaseOrder{ID: strings.Repeat("f", 16), Number: 1<<53 - 1, Person: strings.Repeat("王", 21), Issued: now, NotBefore: now.Add(time.Hour), Until: now.Add(issue.OrderMost)}
	raw, err := o.Sign(upper, keys...)
	if err != nil {
		t.Fatal(err)
	}
	root := make([]byte, letter.KeySize)
	rand.Read(root)
	k, err := wire.NewKeys(root, string(upper), 1)
	if err != nil {
		t.Fatal(err)
	}
	end, err := narrow.New(narrow.Opts{Link: "bd", Direction: wire.Down, Keys: []*wire.Keys{k}, Self: "1", Peer: "2", Keep: &shelf{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	frames, err := end.Pack(t.Context(), 78, []narrow.Part{{ID: "o-1", Class: wire.Command, Item: wire.Item{Type: wire.ItemCommand, Bytes: raw}}})
	if err != nil || len(frames) == 0 {
		t.Fatalf("%d bytes do not go by BeiDou: %v", len(raw), err)
	}
	t.Logf("%d bytes in %d messages", len(raw), len(frames))
}

// shelf keeps a pair's counters in RAM.
type shelf struct{ sync.Map }

func (s *shelf) Get(key string) ([]byte, bool) {
	v, ok := s.Load(key)
	if !ok {
		return nil, false
	}
	return v.([]byte), true
}

func (s *shelf) Put(_ context.Context, key string, b []byte) error {
	s.Store(key, b)
	return nil
}
