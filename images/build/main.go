package main

import (
	"crypto/sha256"
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
	Target  string `required:"" help:"The board: virt, pi."`
	Bin     string `required:"" help:"The folder of the cross-built programs."`
	Out     string `required:"" help:"Where the images go."`
	Cache   string `required:"" help:"Where downloads are kept."`
	Version string `required:"" help:"The release's version."`
	Number  uint64 `required:"" help:"The release's number, which only rises."`
	Built   int64  `required:"" help:"When its source was committed, in seconds since 1970."`
	Keys    string `required:"" help:"The folder of the releasers' private keys (release-*.pem); made where it is missing, for a bench."`
	Base    string `help:"A slot's image that a delta is made from."`
	Init    string `help:"The built init, in place of building it: of a test that needs a broken one."`
	Site    string `default:"configs/sites/new.yaml" help:"The site file of a new board."`

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
	for _, p := range []string{"edged", "edged-video", "edged-desk"} {
		o.programs = append(o.programs, filepath.Join(o.Bin, p+"-linux-"+end))
	}
	work, err := os.MkdirTemp("", "tocsin-image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	signers, err := releasers(o.Keys)
	if err != nil {
		return err
	}
	slot := filepath.Join(o.Out, o.Target+"-"+o.Version+".slot")
	if err := o.slot(t, work, slot, signers); err != nil {
		return err
	}
	h, err := o.pack(slot, signers)
	if err != nil {
		return err
	}
	scr := filepath.Join(work, "boot.scr")
	if _, err := run([]string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", o.Built)}, "mkimage", "-T", "script", "-C", "none", "-A", "arm64", "-n", "tocsin", "-d", "images/build/boot.cmd", scr); err != nil {
		return err
	}
	return disk(filepath.Join(o.Out, o.Target+"-"+o.Version+".img"), t, slot, h, []string{scr}, o.Built)
}

// slot makes the image of a slot.
func (o *options) slot(t target, work, to string, signers []trust.Signer) error {
	kernel, err := moduleDir(t.kernel)
	if err != nil {
		return err
	}
	debian, err := debianRoot(t.debian, o.Cache)
	if err != nil {
		return err
	}
	root := filepath.Join(work, "root")
	if err := stageRoot(root, debian, *o); err != nil {
		return err
	}
	for _, s := range signers {
		if err := publish(s, filepath.Join(root, "etc/tocsin/keys")); err != nil {
			return err
		}
	}
	dir := filepath.Join(work, "slot")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := copyTo(filepath.Join(kernel, "vmlinuz"), filepath.Join(dir, "Image"), 0o644); err != nil {
		return err
	}
	init := o.Init
	if init == "" {
		init = filepath.Join(work, "init")
		c := exec.Command("go", "build", "-trimpath", "-ldflags", fmt.Sprintf("-s -w -X main.Version=%s -X main.BuiltUnix=%d", o.Version, o.Built), "-o", init, "./images/init")
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+t.goarch, "GOARM="+t.goarm)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("init: %w: %s", err, out)
		}
	}
	b, err := os.ReadFile(init)
	if err != nil {
		return err
	}
	rd, err := initrd(b, nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "initrd.gz"), rd, 0o644); err != nil {
		return err
	}
	if err := squash(root, filepath.Join(dir, "root.sqfs"), o.Built); err != nil {
		return err
	}
	files := []string{filepath.Join(dir, "Image"), filepath.Join(dir, "initrd.gz"), filepath.Join(dir, "root.sqfs")}
	trees, err := dtbs(kernel, t.kernel.dtbs)
	if err != nil {
		return err
	}
	for _, d := range trees {
		c := filepath.Join(dir, filepath.Base(d))
		if err := copyTo(d, c, 0o644); err != nil {
			return err
		}
		files = append(files, c)
	}
	return fat(to, files, o.Built)
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

// releasers loads the keys that sign releases. A bench has its own, made here.
func releasers(dir string) ([]trust.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var out []trust.Signer
	for _, k := range []trust.Kind{trust.Ed25519, trust.SM2} {
		path := filepath.Join(dir, "release-"+string(k)+".pem")
		b, err := os.ReadFile(path)
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
			fmt.Printf("made the key %s: for a bench, not for boards that are given to anybody\n", path)
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
		out = append(out, s)
	}
	return out, nil
}

// publish writes a releaser's public key into the image.
func publish(s trust.Signer, dir string) error {
	b, err := trust.PublicPEM(s.Public())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "release-"+string(trust.KindOf(s.Public()))+".pem"), b, 0o644)
}
