package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	imagebench "tocsin/images/bench"
)

// boardImage is the image that is measured: TOCSIN_IMAGE, as make image-test names it, or
// else the newest that make image TARGETS=virt has made.
func boardImage() (string, error) {
	if why := imagebench.Needs(); why != "" {
		return "", errors.New(why)
	}
	if p := os.Getenv("TOCSIN_IMAGE"); p != "" {
		return p, nil
	}
	all, err := filepath.Glob("out/image/virt-*.img")
	if err != nil {
		return "", err
	}
	newest, at := "", time.Time{}
	for _, p := range all {
		if i, err := os.Stat(p); err == nil && i.ModTime().After(at) {
			newest, at = p, i.ModTime()
		}
	}
	if newest == "" {
		return "", errors.New("there is no image: make image TARGETS=virt")
	}
	return newest, nil
}

// startMost bounds a board's start, on a busy machine too.
const startMost = 3 * time.Minute

// poles starts boards with instruments, from the emulator's own start to armed; lets a gauge
// cross; and counts the board's memory while it sounds. The worst of each counts.
func poles(b *bench) error {
	image, err := boardImage()
	if err != nil {
		return err
	}
	var boots, tones, taken []float64
	one := func(dir string) error {
		p, err := imagebench.NewPole(dir, image)
		if err != nil {
			return err
		}
		defer p.Close()
		if err := p.On(); err != nil {
			return err
		}
		if err := p.Says(imagebench.Armed, 1, startMost); err != nil {
			return err
		}
		boots = append(boots, p.SinceOn().Seconds())
		if err := p.Settled(startMost); err != nil {
			return err
		}
		if err := b.pause(5 * time.Second); err != nil { // the crossing is measured of a box that has settled
			return err
		}
		siren, tone, err := p.Cross(30 * time.Second)
		if err != nil {
			return err
		}
		tones = append(tones, max(siren, tone).Seconds())
		if err := b.pause(3 * time.Second); err != nil {
			return err
		}
		mib, err := p.Taken()
		if err != nil {
			return err
		}
		taken = append(taken, mib)
		b.log("armed after %.2f s; siren %.3f s and tone %.3f s after the crossing; %.1f MiB taken while it sounds", boots[len(boots)-1], siren.Seconds(), tone.Seconds(), mib)
		return nil
	}
	for n := range b.n(3, 20) {
		dir := filepath.Join(b.dir, fmt.Sprint(n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := one(dir); err != nil {
			return err
		}
		_ = os.RemoveAll(dir)
	}
	b.tell("image.boot_to_armed_s", rank(boots, 1), len(boots))
	b.tell("image.hil_cross_to_tone_s", rank(tones, 1), len(tones))
	b.tell("image.alarm_rss_mib", rank(taken, 1), len(taken))
	return nil
}

// spoiled breaks data partitions in a hundred ways, and cuts the power in bursts, and counts
// the starts that did not arm within startMost.
func spoiled(b *bench) error {
	image, err := boardImage()
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(b.seed), 8))
	past, err := imagebench.NewPast(b.dir, image, startMost)
	if err != nil {
		return err
	}
	defer past.Close()
	lost, n := 0, 0
	for i := range b.n(5, 100) {
		for _, how := range []string{imagebench.Spoils[i%len(imagebench.Spoils)], imagebench.Burst} {
			dir := filepath.Join(b.dir, fmt.Sprint(n))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			took, err := past.Spoiled(dir, how, r, startMost)
			if err != nil {
				b.log("%s: %v", how, err)
				lost++
			} else {
				b.log("%s: armed after %.1f s", how, took.Seconds())
			}
			n++
			_ = os.RemoveAll(dir)
			if b.ctx.Err() != nil {
				return b.ctx.Err()
			}
		}
	}
	b.tell("image.data_partition", float64(lost), n)
	return nil
}

// hung stops the loop of rules of a box whose process lives on, and takes the time until it
// is armed again. The worst counts.
func hung(b *bench) error {
	image, err := boardImage()
	if err != nil {
		return err
	}
	p, err := imagebench.NewPole(b.dir, image)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.MakeHanging(); err != nil {
		return err
	}
	var all []float64
	for range b.n(1, 5) {
		if err := p.On(); err != nil {
			return err
		}
		if err := p.Says(imagebench.Armed, 1, startMost); err != nil {
			return err
		}
		if err := p.Settled(startMost); err != nil {
			return err
		}
		took, err := p.Hang(startMost)
		if err != nil {
			return err
		}
		all = append(all, took.Seconds())
		b.log("armed again after %.1f s", took.Seconds())
		p.Cut()
	}
	b.tell("image.watchdog_s", rank(all, 1), len(all))
	return nil
}
