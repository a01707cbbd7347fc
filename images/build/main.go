package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

// options are the command line, and what is made of it.
type options struct {
	Target   string `help:"The board: virt, pi, pi5, arm64, armv7."`
	Bin      string `help:"The folder of the cross-built programs."`
	Out      string `help:"Where the images go."`
	Cache    string `help:"Where downloads are kept."`
	Version  string `help:"The release's version."`
	Number   uint64 `help:"The release's number, which only rises."`
	Built    int64  `help:"When its source was committed, in seconds since 1970."`
	Keys     string `help:"The folder of the releasers' private keys (release-*.pem)."`
	NewKeys  bool   `help:"Make the keys where there are none: for a bench, or once for a county. Without it a folder without keys is an error."`
	OnlyKeys bool   `help:"Make the keys, and nothing else."`
	Stale    bool   `help:"Take Debian's packages without its security updates, where a mirror has none: not for boards that are given to anybody."`
	Base     string `help:"A slot's image that a delta is made from."`
	Init     string `help:"The built init, in place of building it: of a test that needs a broken one."`
	Card     bool   `help:"Also pack the card's image for download: .img.xz and its SHA-256."`
	Texts    string `help:"Only write the texts of the licences of what the programs are linked of into this folder: of a package, which brings no image."`
	Site     string `default:"configs/sites/new.yaml" help:"The site file of a new board."`

	release  update.Release
	programs []string
	site     string
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("build"), kong.Description("Makes board images."))
	if err := o.build(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func (o *options) build() error {
	if o.Texts != "" {
		return o.programTexts()
	}
	if o.Keys == "" {
		return errors.New("--keys is needed")
	}
	signers, err := releasers(o.Keys, o.NewKeys)
	if err != nil || o.OnlyKeys {
		return err
	}
	for flag, v := range map[string]string{"--target": o.Target, "--bin": o.Bin, "--out": o.Out, "--cache": o.Cache, "--version": o.Version} {
		if v == "" {
			return fmt.Errorf("%s is needed", flag)
		}
	}
	t, err := targetOf(o.Target)
	if err != nil {
		return err
	}
	o.release = update.Release{Version: o.Version, Number: o.Number, Hardware: t.hardware, Built: time.Unix(o.Built, 0).UTC(),
		Notes: phrase.Text{ZH: "版本 " + o.Version, EN: "Release " + o.Version}}
	o.site = o.Site
	end := t.goarch
	if t.goarm != "" {
		end = "armv" + t.goarm
	}
	o.programs = o.programsFor(end)
	work, err := os.MkdirTemp("", "tocsin-image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	slot := filepath.Join(o.Out, o.Target+"-"+o.Version+".slot")
	k, err := o.slot(t, work, slot, signers)
	if err != nil {
		return err
	}
	h, err := o.pack(slot, signers)
	if err != nil {
		return err
	}
	first, err := o.firstPartition(t, k, work)
	if err != nil {
		return err
	}
	img := filepath.Join(o.Out, o.Target+"-"+o.Version+".img")
	if err := disk(img, t, slot, h, first, o.Built); err != nil || !o.Card {
		return err
	}
	return card(img)
}

// programsFor names the programs that were built for a board.
func (o *options) programsFor(end string) (out []string) {
	for _, p := range []string{"edged", "edged-video", "edged-desk"} {
		out = append(out, filepath.Join(o.Bin, p+"-linux-"+end))
	}
	return out
}

// programTexts writes the licences' texts of the programs of one kind of board; --target
// names it as their files do (arm64, armv7, amd64).
func (o *options) programTexts() error {
	linked, err := linkedModules(o.programsFor(o.Target))
	if err != nil {
		return err
	}
	ui, err := page("firmware/serve/page/ui/package-lock.json")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Texts, 0o755); err != nil {
		return err
	}
	for name, ms := range map[string][]module{"go.txt": linked, "page.txt": ui} {
		b, err := texts(ms)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(o.Texts, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// firstPartition gives the files that choose the slot.
func (o *options) firstPartition(t target, k *opened, work string) (files []file, err error) {
	if t.pi != nil {
		if files, _, err = t.pi.selector(o, t, k, work); err != nil {
			return nil, err
		}
	}
	if t.loads == "" {
		return files, nil
	}
	text, err := os.ReadFile("images/build/boot.cmd")
	if err != nil {
		return nil, err
	}
	cmd, scr := filepath.Join(work, "boot.cmd"), filepath.Join(work, "boot.scr")
	if err := os.WriteFile(cmd, []byte(strings.Replace(string(text), "@LOADS@", t.loads, 1)), 0o644); err != nil {
		return nil, err
	}
	arch := "arm64"
	if t.goarch == "arm" {
		arch = "arm"
	}
	_, err = run([]string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", o.Built)}, "mkimage", "-T", "script", "-C", "none", "-A", arch, "-n", "tocsin", "-d", cmd, scr)
	return append(files, file{"boot.scr", scr}), err
}

// card packs a card's image for download, as tools that write cards take it, and its sum.
func card(img string) error {
	// One thread and a window as large as the slot's parts: the same bytes on every machine.
	if _, err := run(nil, "xz", "-9", "-T1", "-k", "-f", img); err != nil {
		return err
	}
	b, err := os.ReadFile(img + ".xz")
	if err != nil {
		return err
	}
	name := filepath.Base(img) + ".xz"
	fmt.Printf("%s: %.1f MiB\n", name, float64(len(b))/mib)
	return os.WriteFile(img+".xz.sha256", fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(b), name), 0o644)
}

// slot makes the image of a slot.
func (o *options) slot(t target, work, to string, signers []trust.Signer) (*opened, error) {
	k, err := openKernel(t, o.Cache, o.Stale)
	if err != nil {
		return nil, err
	}
	d, err := openDebian(t.debian, packages, o.Cache, o.Stale)
	if err != nil {
		return nil, err
	}
	drivers, err := k.load()
	if err != nil {
		return nil, err
	}
	l := newLedger(filepath.Join(work, "root"))
	if err := o.stageRoot(l, t, d, drivers, k, work); err != nil {
		return nil, err
	}
	believes := []entry{{name: "etc/tocsin/boards", mode: 0o100644, data: []byte(strings.Join(t.hardware, "\n") + "\n")}}
	for _, s := range signers {
		b, err := trust.PublicPEM(s.Public())
		if err != nil {
			return nil, err
		}
		name := "etc/tocsin/keys/release-" + string(trust.KindOf(s.Public())) + ".pem"
		if err := l.write(name, b, ours(o.Version)); err != nil {
			return nil, err
		}
		believes = append(believes, entry{name: name, mode: 0o100644, data: b})
	}
	dir := filepath.Join(work, "slot")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	init, err := o.init(t, work)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(init)
	if err != nil {
		return nil, err
	}
	rules, err := airRules(d, k)
	if err != nil {
		return nil, err
	}
	rd, err := initrd(b, drivers, rules, believes)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "initrd"), rd, 0o644); err != nil {
		return nil, err
	}
	if err := squash(l.root, filepath.Join(dir, "root.sqfs"), o.Built); err != nil {
		return nil, err
	}
	texts, err := o.papers(t, l, d, k, init, dir)
	if err != nil {
		return nil, err
	}
	files, err := o.slotFiles(t, dir, k, texts)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(files)
	if err != nil {
		return nil, err
	}
	return k, fat(to, "TOCSIN", size, o.Built, files)
}

// init builds the first process, or takes the one that was built.
func (o *options) init(t target, work string) (string, error) {
	if o.Init != "" {
		return o.Init, nil
	}
	to := filepath.Join(work, "init")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", fmt.Sprintf("-s -w -X main.Version=%s -X main.BuiltUnix=%d", o.Version, o.Built), "-o", to, "./images/init")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+t.goarch, "GOARM="+t.goarm)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("init: %w: %s", err, out)
	}
	return to, nil
}

// papers writes the bill of materials and gives the texts of the licences.
func (o *options) papers(t target, l *ledger, d *debian, k *opened, init, dir string) ([]file, error) {
	linked, err := linkedModules(append(o.programs[:len(o.programs):len(o.programs)], init))
	if err != nil {
		return nil, err
	}
	ui, err := page("firmware/serve/page/ui/package-lock.json")
	if err != nil {
		return nil, err
	}
	others, roots := []component{k.who}, []*debian{d}
	for _, p := range d.packages {
		if p.Name == airPackage {
			others = append(others, p.component())
		}
	}
	if k.debian != "" {
		kd, err := openDebian(t.debian, []string{k.debian}, o.Cache, o.Stale)
		if err != nil {
			return nil, err
		}
		roots = append(roots, kd)
	}
	if t.kernel.module == rpi.module { // the slots of all Raspberry Pis are one, and what starts them is listed in it
		for _, p := range targets {
			if p.pi == nil || !p.pi.uboot {
				continue
			}
			_, more, err := p.pi.selector(o, p, k, dir)
			if err != nil {
				return nil, err
			}
			others = append(others, more...)
		}
		ud, err := openDebian(t.debian, []string{"u-boot-rpi"}, o.Cache, o.Stale)
		if err != nil {
			return nil, err
		}
		roots = append(roots, ud)
	}
	texts, err := licences(filepath.Join(dir, "licences"), l, others, k, roots, linked, ui)
	if err != nil {
		return nil, err
	}
	var parts []component
	for _, m := range append(linked, ui...) {
		parts = append(parts, m.component)
	}
	name := "tocsin-" + strings.Join(t.hardware, "-") + "-" + o.Version
	b, err := bill(name, o.release.Built, l, others, parts, ours(o.Version))
	if err != nil {
		return nil, err
	}
	return texts, os.WriteFile(filepath.Join(dir, "sbom.spdx.json"), b, 0o644)
}

// pack makes the packages of a slot's image, whole and, with a base, as a delta.
func (o *options) pack(slot string, signers []trust.Signer) (*pack.Header, error) {
	image, err := os.ReadFile(slot)
	if err != nil {
		return nil, err
	}
	write := func(name string, base []byte) (*pack.Header, error) {
		f, err := os.Create(filepath.Join(o.Out, name))
		if err != nil {
			return nil, err
		}
		h, err := pack.Write(f, o.release, image, base, signers...)
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil {
			fmt.Printf("%s: %.1f MiB\n", name, float64(h.Offset(len(h.Chunks)))/mib)
		}
		return h, err
	}
	h, err := write(o.Target+"-"+o.Version+".tocsin", nil)
	if err != nil || o.Base == "" {
		return h, err
	}
	base, err := os.ReadFile(o.Base)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(base)
	_, err = write(fmt.Sprintf("%s-%s-from-%x.tocsin", o.Target, o.Version, sum[:4]), base)
	return h, err
}

// releasers loads the keys that sign releases, or makes them where that was asked for: a
// folder's name with a slip in it is no reason to give boards away that believe keys which
// nobody keeps.
func releasers(dir string, make bool) ([]trust.Signer, error) {
	if make {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	var out []trust.Signer
	for _, k := range []trust.Kind{trust.Ed25519, trust.SM2} {
		path := filepath.Join(dir, "release-"+string(k)+".pem")
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) && !make {
			return nil, fmt.Errorf("there is no key %s: name the folder of your keys (KEYS=), or make them there once (make release-keys KEYS=…)", path)
		}
		if os.IsNotExist(err) {
			s, err := trust.NewSigner(k)
			if err != nil {
				return nil, err
			}
			if b, err = s.PEM(); err != nil {
				return nil, err
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				return nil, err
			}
			fmt.Printf("made the key %s: whoever has it can replace the software of the boards that believe it\n", path)
		} else if err != nil {
			return nil, err
		}
		s, err := trust.LoadSigner(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !strings.EqualFold(string(trust.KindOf(s.Public())), string(k)) {
			return nil, fmt.Errorf("%s is no %s key", path, k)
		}
		out = append(out, s.Steady()) // the same release is the same bytes
	}
	return out, nil
}
