// Command makeclips renders configs/clips/clips.yaml to WAV files with
// espeak-ng, which it runs as a process of its own (GPL-3: run, never linked).
//
//	go run ./cmd/makeclips [-dir configs/clips] [-only prepare,drill]
//
// It trims, keeps what a horn carries, levels and writes <id>.cmn.wav and
// <id>.yue.wav: one channel, 16 kHz, IMA ADPCM. The same espeak-ng gives the same
// bytes.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tocsin/firmware/sound/speech"
)

// Speed in the engine's words a minute (a good four syllables a second, slow
// for a news reader) and pitch (0 to 99), low enough not to be shrill through a
// horn.
const (
	speed = 205
	pitch = 40
)

// pieceTail is what is cut, in ms, of the silence that Trim leaves behind a sound: what follows a piece belongs to
// the same sentence.
const pieceTail = 40

func main() {
	dir := flag.String("dir", "configs/clips", "folder of clips.yaml and of the WAV files")
	only := flag.String("only", "", "ids to render, separated by commas; empty means all")
	flag.Parse()
	if err := run(*dir, *only); err != nil {
		fmt.Fprintln(os.Stderr, "makeclips:", err)
		os.Exit(1)
	}
}

func run(dir, only string) error {
	engine, err := exec.LookPath("espeak-ng")
	if err != nil {
		return fmt.Errorf("%w; install it with: apt-get install espeak-ng", err)
	}
	script, err := speech.LoadScript(os.DirFS(dir), "clips.yaml")
	if err != nil {
		return err
	}
	lines := maps.Clone(script.Clips)
	maps.Copy(lines, script.Pieces)
	ids := slices.Sorted(maps.Keys(lines))
	if only != "" {
		ids = strings.Split(only, ",")
	}
	total := 0
	for _, id := range ids {
		line, ok := lines[id]
		if !ok {
			return fmt.Errorf("clips.yaml has no clip %q", id)
		}
		for _, v := range []struct {
			lang        speech.Lang
			voice, text string
		}{
			{speech.Mandarin, "cmn-latn-pinyin", line.Pinyin},
			{speech.Cantonese, "yue", line.Yue},
		} {
			if v.text == "" {
				continue
			}
			p, err := say(engine, v.voice, v.text)
			if err != nil {
				return fmt.Errorf("clip %s in %s: %w", id, v.lang, err)
			}
			p = speech.Trim(speech.Resample(p, speech.BankRate))
			if strings.HasPrefix(id, speech.PiecePrefix) {
				p.Samples = p.Samples[:max(0, len(p.Samples)-pieceTail*p.Rate/1000)]
			}
			b, p, err := speech.Packed(speech.Horn(tighten(p)), script.Loudness)
			if err != nil {
				return fmt.Errorf("clip %s in %s: %w", id, v.lang, err)
			}
			name := filepath.Join(dir, id+"."+string(v.lang)+".wav")
			if err := os.WriteFile(name, b, 0o644); err != nil {
				return err
			}
			rms, peak := speech.Measure(p.Samples)
			fmt.Printf("%-28s %5.1f s  %6.1f dBFS RMS  %6.1f dBFS peak\n", filepath.Base(name), float64(len(p.Samples))/float64(p.Rate), rms, peak)
			total += len(b)
		}
	}
	fmt.Printf("%d KiB\n", total>>10)
	return nil
}

// tighten shortens the engine's pauses within a text to 300 ms.
func tighten(p speech.PCM) speech.PCM {
	most, quiet := p.Rate*3/10, 0
	out := speech.PCM{Rate: p.Rate}
	for _, v := range p.Samples {
		if quiet++; v > 30 || v < -30 {
			quiet = 0
		}
		if quiet < most {
			out.Samples = append(out.Samples, v)
		}
	}
	return out
}

// say gives the engine's sound. The text goes in by standard input, so that
// nothing in it is taken for an option.
func say(engine, voice, text string) (speech.PCM, error) {
	cmd := exec.Command(engine, "-v", voice, "-s", strconv.Itoa(speed), "-p", strconv.Itoa(pitch), "--stdin", "--stdout")
	cmd.Stdin = strings.NewReader(text)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return speech.PCM{}, fmt.Errorf("%s: %w: %s", engine, err, strings.TrimSpace(errs.String()))
	}
	p, err := speech.ReadWAV(bytes.NewReader(out))
	if err == nil && len(p.Samples) == 0 {
		err = errors.New("it gave no sound")
	}
	return p, err
}
