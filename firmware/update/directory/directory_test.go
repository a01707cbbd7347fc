package directory

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/update"
)

var (
	key   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	other = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
)

type content struct {
	m     Manifest
	files map[string]string
	key   ed25519.PrivateKey
	spoil func(manifest []byte) []byte
	more  *tar.Header
}

func release(number uint64, version string) content {
	return content{m: Manifest{Release: update.Release{Version: version, Number: number, Hardware: []string{"bench"}}}, files: map[string]string{"edged": "#!/bin/sh\necho " + version + "\n"}, key: key}
}

func (c content) tar(t testing.TB) []byte {
	t.Helper()
	if c.m.Files == nil {
		for name, text := range c.files {
			sum := sha256.Sum256([]byte(text))
			c.m.Files = append(c.m.Files, File{Name: name, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Run: true})
		}
	}
	m, err := json.Marshal(c.m)
	if err != nil {
		t.Fatal(err)
	}
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, m))
	if c.spoil != nil {
		m = c.spoil(m)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(name, text string) {
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
		w.Write([]byte(text))
	}
	put("manifest.json", string(m))
	put("manifest.sig", sig)
	for _, f := range c.m.Files {
		put(f.Name, c.files[f.Name])
	}
	if c.more != nil {
		w.WriteHeader(c.more)
	}
	w.Close()
	return b.Bytes()
}

type bench struct {
	dir string
	now clock.Stamp
	cut int // the durable step that fails; 0 none
	n   int
}

var errCut = errors.New("the power is cut")

func (b *bench) open(t *testing.T) *Installer {
	t.Helper()
	i, err := Open(Opts{Dir: b.dir, Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}, Hardware: "bench", Now: func() clock.Stamp { return b.now },
		Running: update.Release{Version: "1.0", Number: 1}, step: func(string) error {
			if b.n++; b.n == b.cut {
				return errCut
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// runs tells what the link would start.
func (b *bench) runs() string {
	s, err := os.ReadFile(filepath.Join(b.dir, current, "edged"))
	if err != nil {
		return "as delivered"
	}
	return string(s)
}

func code(err error) string { return phrase.Of(err).Code }

func stage(i *Installer, b []byte) error {
	_, err := i.Stage(context.Background(), bytes.NewReader(b))
	return err
}

func TestAReleaseIsStagedTriedAndStaysOnlyWhenConfirmed(t *testing.T) {
	b := &bench{dir: t.TempDir(), now: clock.Stamp{Boot: "a"}}
	i := b.open(t)
	if err := stage(i, release(2, "2.0").tar(t)); err != nil {
		t.Fatal(err)
	}
	if b.runs() != "as delivered" {
		t.Error("it runs before anybody said so")
	}
	if err := i.Activate(time.Minute); err != nil {
		t.Fatal(err)
	}
	two := b.runs()
	if s := i.State(); s.Phase != update.Trial || s.Running.Version != "2.0" || s.Before.Version != "1.0" || s.Left != time.Minute || two == "as delivered" {
		t.Errorf("%+v runs %q", s, two)
	}
	if err := stage(i, release(3, "3.0").tar(t)); code(err) != "update.on_trial" {
		t.Error(err)
	}
	b.now.Mono = 59 * time.Second
	if took, _, _ := i.Tick(); took {
		t.Error("taken back early")
	}
	b.now.Mono = time.Minute
	took, why, err := i.Tick()
	if !took || why.Code != "update.unconfirmed" || err != nil || b.runs() != "as delivered" || i.State().Reason.Code != "update.unconfirmed" {
		t.Errorf("%v %v %v, runs %q", took, why, err, b.runs())
	}
	stage(i, release(2, "2.0").tar(t))
	i.Activate(time.Minute)
	i = b.open(t) // its first start
	if b.runs() != two || i.Confirm() != nil {
		t.Error("a first start of a trial is its own")
	}
	i = b.open(t)
	if b.runs() != two || i.State().Phase != update.Idle {
		t.Errorf("after a start: %+v", i.State())
	}
	if err := stage(i, release(2, "2.0").tar(t)); code(err) != "update.older" {
		t.Error(err)
	}
	stage(i, release(3, "3.0").tar(t))
	i.Activate(time.Minute)
	b.open(t)
	i = b.open(t)
	if b.runs() != two || i.State().Reason.Code != "update.unconfirmed_start" {
		t.Errorf("two starts without a confirmation: %+v runs %q", i.State(), b.runs())
	}
}

func TestWhatIsNotGoodIsRefusedAndLeavesNothing(t *testing.T) {
	whole := release(2, "2.0").tar(t)
	for name, c := range map[string]struct {
		make func() []byte
		want string
	}{
		"not a release":           {func() []byte { return []byte("hello") }, "update.no_release"},
		"signed by somebody else": {func() []byte { c := release(2, "2.0"); c.key = other; return c.tar(t) }, "update.bad_signature"},
		"a bit of the manifest": {func() []byte {
			c := release(2, "2.0")
			c.spoil = func(b []byte) []byte { return bytes.Replace(b, []byte("2.0"), []byte("2.1"), 1) }
			return c.tar(t)
		}, "update.bad_signature"},
		"a bit of a file": {func() []byte { return bytes.Replace(whole, []byte("echo 2.0"), []byte("echo 6.6"), 1) }, "update.damaged"},
		"cut short":       {func() []byte { return whole[:len(whole)-1536-500] }, "update.cut_short"},
		"an older one":    {func() []byte { return release(1, "0.9").tar(t) }, "update.older"},
		"another board":   {func() []byte { c := release(2, "2.0"); c.m.Hardware = []string{"pi5"}; return c.tar(t) }, "update.other_board"},
		"a name that leaves the folder": {func() []byte {
			c := release(2, "2.0")
			c.files = map[string]string{"../../etc/passwd": "x"}
			return c.tar(t)
		}, "update.bad_manifest"},
		"a file too many": {func() []byte {
			c := release(2, "2.0")
			c.more = &tar.Header{Name: "extra", Typeflag: tar.TypeSymlink, Linkname: "/etc"}
			return c.tar(t)
		}, "update.more_files"},
		"an unknown field": {func() []byte {
			c := release(2, "2.0")
			m, _ := json.Marshal(map[string]any{"version": "2.0", "number": 2, "run_as": "root"})
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, p := range [][2]string{{"manifest.json", string(m)}, {"manifest.sig", base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, m))}} {
				w.WriteHeader(&tar.Header{Name: p[0], Size: int64(len(p[1])), Mode: 0o644})
				w.Write([]byte(p[1]))
			}
			w.Close()
			return b.Bytes()
		}, "update.bad_manifest"},
	} {
		b := &bench{dir: t.TempDir(), now: clock.Stamp{Boot: "a"}}
		i := b.open(t)
		if err := stage(i, c.make()); code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if s := i.State(); s.Phase != update.Idle || s.Next != nil {
			t.Errorf("%s: %+v", name, s)
		}
		if left, _ := os.ReadDir(filepath.Join(b.dir, slots)); len(left) != 0 {
			t.Errorf("%s leaves %v", name, left)
		}
	}
}

func TestACutAtAnyInstantLeavesOneWholeRelease(t *testing.T) {
	for cut := 1; ; cut++ {
		b := &bench{dir: t.TempDir(), now: clock.Stamp{Boot: "a"}, cut: cut}
		i := b.open(t)
		died := false
		for _, f := range []func() error{
			func() error { return stage(i, release(2, "2.0").tar(t)) }, func() error { return i.Activate(time.Minute) }, i.Confirm,
			func() error { return stage(i, release(3, "3.0").tar(t)) }, func() error { return i.Activate(time.Minute) }, func() error { return i.Back(phrase.M("update.unconfirmed")) },
		} {
			if err := f(); err != nil {
				if !errors.Is(err, errCut) {
					t.Fatalf("cut %d: %v", cut, err)
				}
				died = true
				break
			}
		}
		b.cut = 0
		i = b.open(t)
		s := i.State()
		want := "as delivered"
		if s.Running.Number > 1 {
			want = release(s.Running.Number, s.Running.Version).files["edged"]
		}
		if b.runs() != want {
			t.Errorf("cut %d: the state has %s, the link starts %q", cut, s.Running.Version, b.runs())
		}
		if !died {
			if s.Running.Version != "2.0" {
				t.Errorf("in the end: %+v", s)
			}
			return
		}
	}
}

func FuzzStage(f *testing.F) {
	f.Add(release(2, "2.0").tar(f))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in []byte) {
		b := &bench{dir: dir, now: clock.Stamp{Boot: "a"}}
		i := b.open(t)
		r, err := i.Stage(context.Background(), bytes.NewReader(in))
		if err == nil && (r.Version != "2.0" || r.Number != 2) {
			t.Errorf("staged what nobody signed: %+v", r)
		}
		if code(err) == "error.plain" {
			t.Errorf("no words for people: %v", err)
		}
	})
}
