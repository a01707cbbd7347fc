// Package directory is an update.Installer in a folder: each release is a folder of its
// own, and the link `current` says which runs. It is what the bench tries updates on, and
// does for boards whose own service starts what the link points to.
//
// A release file is a tar: manifest.json, manifest.sig (base64 of the Ed25519 signature
// over the manifest's very bytes), then the files in the manifest's order, each with its
// size and SHA-256. Everything is bounded and verified before the folder gets its name; a
// name that leaves the folder, a link, or a file that the manifest does not name is
// refused. A number that is not above the confirmed one is refused (no way back to what
// had known holes).
//
// Its state is one file that is replaced whole, the link is replaced by rename(2): after a
// cut of the power at any instant either the old release runs or the new one on trial. A
// second start during a trial takes it back.
package directory

import (
	"archive/tar"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/update"
)

// Manifest says what a release is made of.
type Manifest struct {
	update.Release
	Files []File `json:"files"`
}

// File is one file of a release.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Run    bool   `json:"run,omitempty"` // may be executed
}

// Bounds of a release.
const (
	mostManifest = 256 << 10
	mostFiles    = 256
	mostSize     = 256 << 20
)

// Opts configure an Installer.
type Opts struct {
	Dir  string
	Keys []ed25519.PublicKey // of those who may release
	// Hardware is this board's name.
	Hardware string
	Now      func() clock.Stamp
	// Running is what runs where nothing was ever installed.
	Running update.Release

	step func(string) error // of a test, which cuts the power there
}

// Installer installs into a folder. Use Open.
type Installer struct {
	o Opts

	mu    sync.Mutex
	kept  kept
	shown atomic.Pointer[kept] // the same, for State: whoever looks does not wait for a release that comes slowly
}

// kept is the state on the disk.
type kept struct {
	Version int             `json:"version"`
	Phase   update.Phase    `json:"phase"`
	Running update.Release  `json:"running"`
	Before  *update.Release `json:"before,omitempty"`
	Next    *update.Release `json:"next,omitempty"`
	// Floor is the highest number that was ever confirmed.
	Floor  uint64         `json:"floor"`
	Until  clock.Stamp    `json:"until"`
	Starts int            `json:"starts"`
	Reason phrase.Message `json:"reason"`
}

const (
	stateFile = "state.json"
	current   = "current"
	slots     = "slots"
	newEnd    = ".new"
)

var _ update.Installer = (*Installer)(nil)

// Open reads the state of a folder, and takes back a trial that has been started before.
func Open(o Opts) (*Installer, error) {
	if o.step == nil {
		o.step = func(string) error { return nil }
	}
	i := &Installer{o: o}
	if err := os.MkdirAll(filepath.Join(o.Dir, slots), 0o755); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(i.path(stateFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		i.kept = kept{Version: 1, Phase: update.Idle, Running: o.Running}
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, &i.kept); err != nil || i.kept.Version != 1 {
			return nil, fmt.Errorf("%s: not a state of version 1 (%v)", i.path(stateFile), err)
		}
	}
	k := i.kept
	i.shown.Store(&k)
	if err := i.settle(); err != nil {
		return nil, err
	}
	return i, i.sweep()
}

func (i *Installer) path(name string) string { return filepath.Join(i.o.Dir, name) }

func slot(r update.Release) string { return filepath.Join(slots, fmt.Sprint(r.Number)) }

// settle makes the link what the state says it is, and counts this start of a trial.
func (i *Installer) settle() error {
	if i.kept.Phase == update.Trial {
		if i.kept.Starts++; i.kept.Starts > 1 {
			return i.back(phrase.M("update.unconfirmed_start"))
		}
		if err := i.keep(i.kept); err != nil {
			return err
		}
	}
	return i.point(i.kept.Running)
}

// point makes the link point to a release's folder; what was never installed has none.
func (i *Installer) point(r update.Release) error {
	if _, err := os.Stat(i.path(slot(r))); err != nil {
		if err := os.Remove(i.path(current)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	if to, err := os.Readlink(i.path(current)); err == nil && to == slot(r) {
		return nil
	}
	if err := i.o.step("link"); err != nil {
		return err
	}
	if err := renameio.Symlink(slot(r), i.path(current)); err != nil {
		return err
	}
	return flush(i.o.Dir)
}

func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (i *Installer) keep(k kept) error {
	b, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return err
	}
	if err := i.o.step("state"); err != nil {
		return err
	}
	if err := renameio.WriteFile(i.path(stateFile), b, 0o600, renameio.WithTempDir(i.o.Dir)); err != nil {
		return err
	}
	i.kept = k
	i.shown.Store(&k)
	return flush(i.o.Dir)
}

// sweep removes folders that no state names.
func (i *Installer) sweep() error {
	named := []string{fmt.Sprint(i.kept.Running.Number)}
	for _, r := range []*update.Release{i.kept.Before, i.kept.Next} {
		if r != nil {
			named = append(named, fmt.Sprint(r.Number))
		}
	}
	all, err := os.ReadDir(i.path(slots))
	if err != nil {
		return err
	}
	for _, f := range all {
		if !slices.Contains(named, f.Name()) {
			if err := os.RemoveAll(filepath.Join(i.path(slots), f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// State tells how it stands.
func (i *Installer) State() update.State {
	k := *i.shown.Load()
	s := update.State{Phase: k.Phase, Running: &k.Running, Before: k.Before, Next: k.Next, Reason: k.Reason}
	if k.Phase == update.Trial {
		s.Left = max(0, i.left(&k))
	}
	return s
}

// left is how long a trial has yet; nothing where it began in another boot.
func (i *Installer) left(k *kept) time.Duration {
	now := i.o.Now()
	if now.Boot != k.Until.Boot {
		return 0
	}
	return k.Until.Mono - now.Mono
}

// Stage reads, verifies and stages a release.
func (i *Installer) Stage(ctx context.Context, r io.Reader) (update.Release, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept.Phase == update.Trial {
		return update.Release{}, phrase.E("update.on_trial")
	}
	t := tar.NewReader(io.LimitReader(r, mostSize+mostManifest+(1<<20)))
	m, err := i.manifest(t)
	if err != nil {
		return update.Release{}, err
	}
	dir := i.path(slot(m.Release)) + newEnd
	defer os.RemoveAll(dir) // has its own name by then, or is worth nothing
	if err := os.RemoveAll(dir); err != nil {
		return update.Release{}, phrase.Wrap(err, "update.disk", "err", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return update.Release{}, phrase.Wrap(err, "update.disk", "err", err)
	}
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return update.Release{}, phrase.Wrap(err, "update.cut_short", "file", f.Name)
		}
		h, err := t.Next()
		if err != nil {
			return update.Release{}, phrase.Wrap(err, "update.cut_short", "file", f.Name)
		}
		if h.Typeflag != tar.TypeReg || h.Name != f.Name || h.Size != f.Size {
			return update.Release{}, phrase.E("update.other_file", "file", f.Name, "found", clean(h.Name))
		}
		if err := i.write(filepath.Join(dir, f.Name), f, t); err != nil {
			return update.Release{}, err
		}
	}
	if _, err := t.Next(); err != io.EOF {
		return update.Release{}, phrase.E("update.more_files")
	}
	if err := flush(dir); err != nil {
		return update.Release{}, phrase.Wrap(err, "update.disk", "err", err)
	}
	to := i.path(slot(m.Release))
	if err := os.RemoveAll(to); err != nil {
		return update.Release{}, phrase.Wrap(err, "update.disk", "err", err)
	}
	if err := i.o.step("slot"); err != nil {
		return update.Release{}, err
	}
	if err := os.Rename(dir, to); err != nil {
		return update.Release{}, phrase.Wrap(err, "update.disk", "err", err)
	}
	k := i.kept
	k.Phase, k.Next, k.Reason = update.Staged, &m.Release, phrase.Message{}
	if err := i.keep(k); err != nil {
		return update.Release{}, phrase.Wrap(err, "update.disk", "err", err)
	}
	return m.Release, i.sweep()
}

// manifest reads and verifies what comes first.
func (i *Installer) manifest(t *tar.Reader) (Manifest, error) {
	var parts [2][]byte
	for n, name := range []string{"manifest.json", "manifest.sig"} {
		h, err := t.Next()
		if err != nil || h.Name != name || h.Typeflag != tar.TypeReg || h.Size > mostManifest {
			return Manifest{}, phrase.E("update.no_release")
		}
		if parts[n], err = io.ReadAll(t); err != nil {
			return Manifest{}, phrase.Wrap(err, "update.cut_short", "file", name)
		}
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(parts[1])))
	if err != nil || !slices.ContainsFunc(i.o.Keys, func(k ed25519.PublicKey) bool { return ed25519.Verify(k, parts[0], sig) }) {
		return Manifest{}, phrase.E("update.bad_signature")
	}
	var m Manifest
	d := json.NewDecoder(strings.NewReader(string(parts[0])))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, phrase.Wrap(err, "update.bad_manifest", "err", err)
	}
	return m, i.fits(&m)
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// fits tells whether a genuine release is one for this board, now.
func (i *Installer) fits(m *Manifest) error {
	m.Size = 0
	if m.Version == "" || len(m.Version) > 64 || m.Number == 0 || len(m.Files) == 0 || len(m.Files) > mostFiles {
		return phrase.E("update.bad_manifest", "err", "version, number and files are needed")
	}
	for n, f := range m.Files {
		if !goodName.MatchString(f.Name) || f.Size < 0 || len(f.SHA256) != 2*sha256.Size || slices.ContainsFunc(m.Files[:n], func(g File) bool { return g.Name == f.Name }) {
			return phrase.E("update.bad_manifest", "err", "file "+clean(f.Name))
		}
		if m.Size += f.Size; m.Size > mostSize {
			return phrase.E("update.large", "most", mostSize>>20)
		}
	}
	if !slices.Contains(m.Hardware, i.o.Hardware) {
		return phrase.E("update.other_board", "here", i.o.Hardware, "for", strings.Join(m.Hardware, ", "))
	}
	if floor := max(i.kept.Floor, i.kept.Running.Number); m.Number <= floor {
		have := i.kept.Running
		if have.Number != floor {
			have.Number, have.Built = floor, time.Time{} // a newer one was confirmed before
		}
		return phrase.E("update.older", "version", m.Version, "dated", m.Dated(), "running", have.Version, "have", have.Dated())
	}
	return nil
}

func (i *Installer) write(path string, f File, r io.Reader) error {
	mode := os.FileMode(0o644)
	if f.Run {
		mode = 0o755
	}
	w, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(w, sum), r, f.Size)
	if err == nil {
		err = w.Sync()
	}
	if e := w.Close(); err == nil {
		err = e
	}
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return phrase.Wrap(err, "update.cut_short", "file", f.Name)
	case err != nil:
		return phrase.Wrap(err, "update.disk", "err", err)
	case hex.EncodeToString(sum.Sum(nil)) != strings.ToLower(f.SHA256):
		return phrase.E("update.damaged", "file", f.Name)
	}
	return nil
}

func clean(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Activate makes what is staged run, on trial.
func (i *Installer) Activate(within time.Duration) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	k := i.kept
	if k.Phase != update.Staged || k.Next == nil {
		return phrase.E("update.not_staged")
	}
	before := k.Running
	k.Phase, k.Before, k.Running, k.Next, k.Starts = update.Trial, &before, *k.Next, nil, 0
	k.Until = i.o.Now().Add(within)
	// The state first: a cut between the two is a trial whose link settle puts right.
	if err := i.keep(k); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	if err := i.point(k.Running); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	return nil
}

// Confirm lets a trial stay.
func (i *Installer) Confirm() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	k := i.kept
	if k.Phase != update.Trial {
		return phrase.E("update.no_trial")
	}
	k.Phase, k.Before, k.Starts, k.Reason = update.Idle, nil, 0, phrase.Message{}
	k.Floor = max(k.Floor, k.Running.Number)
	if err := i.keep(k); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	return i.sweep()
}

// Back ends a trial.
func (i *Installer) Back(why phrase.Message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept.Phase != update.Trial {
		return phrase.E("update.no_trial")
	}
	return i.back(why)
}

func (i *Installer) back(why phrase.Message) error {
	k := i.kept
	if k.Before == nil {
		return phrase.E("update.no_trial")
	}
	k.Phase, k.Running, k.Before, k.Starts, k.Reason = update.Idle, *k.Before, nil, 0, why
	if err := i.keep(k); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	if err := i.point(k.Running); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	return i.sweep()
}

// Tick takes a trial back whose time is over.
func (i *Installer) Tick() (bool, phrase.Message, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept.Phase != update.Trial || i.left(&i.kept) > 0 {
		return false, phrase.Message{}, nil
	}
	why := phrase.M("update.unconfirmed")
	return true, why, i.back(why)
}
