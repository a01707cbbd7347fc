package speech

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"tocsin/firmware/phrase"
)

// What a person's own recording may be.
const (
	recordedLeast = time.Second
	// recordedFaint is the RMS in dBFS below which a microphone heard nobody.
	recordedFaint = -45
)

// Recorded makes a clip of what somebody recorded: its silence taken off, made for a horn, as loud as the
// clips are, and small. It gives the file of a bank's folder and how long it lasts.
func Recorded(r io.Reader, longest time.Duration) ([]byte, time.Duration, error) {
	p, err := ReadWAV(r)
	if err != nil {
		return nil, 0, phrase.Wrap(err, "speech.recorded.format")
	}
	if long := time.Duration(len(p.Samples)) * time.Second / time.Duration(p.Rate); long > longest+longest/4 {
		return nil, 0, phrase.E("speech.recorded.long", "seconds", int(long.Seconds()+0.5), "most", int(longest.Seconds()))
	}
	p = Trim(Resample(p, BankRate))
	long := time.Duration(len(p.Samples)) * time.Second / BankRate
	rms, _ := Measure(p.Samples)
	switch {
	case len(p.Samples) == 0 || rms < recordedFaint:
		return nil, 0, phrase.E("speech.recorded.faint")
	case long < recordedLeast:
		return nil, 0, phrase.E("speech.recorded.short", "least", int(recordedLeast.Seconds()))
	case long > longest:
		return nil, 0, phrase.E("speech.recorded.long", "seconds", int(long.Seconds()+0.5), "most", int(longest.Seconds()))
	}
	b, _, err := Packed(Horn(p), DefaultLoudness)
	if err != nil {
		return nil, 0, phrase.Wrap(err, "speech.recorded.faint")
	}
	return b, long, nil
}

// Packed levels a clip and packs it, so that what is read back from its file, whose four bits a sample overshoot,
// is as loud as it should be and no louder. It gives the file and what is read back.
func Packed(p PCM, want Loudness) ([]byte, PCM, error) {
	for l := want; ; l.Peak -= 0.05 {
		var b bytes.Buffer
		if err := WriteADPCM(&b, Level(p, l)); err != nil {
			return nil, p, err
		}
		back, err := ReadWAV(bytes.NewReader(b.Bytes()))
		if err != nil {
			return nil, p, err
		}
		_, peak := Measure(back.Samples)
		switch {
		case peak <= want.Peak:
			return b.Bytes(), back, nil
		case l.Peak < want.Peak-6:
			return nil, p, fmt.Errorf("its peaks stay at %.1f dBFS: %w", peak, errPeaks)
		}
	}
}

var errPeaks = errors.New("four bits a sample cannot hold it")

// Plus gives a Bank with the clips of both; of two with one name that of o.
func (b *Bank) Plus(o *Bank) *Bank {
	n := &Bank{rate: b.rate, clips: make(map[clipKey]*clip, len(b.clips)+len(o.clips))}
	for _, x := range []*Bank{b, o} {
		for k, c := range x.clips {
			n.clips[k] = c
		}
	}
	return n
}

// Village is the language of what people record themselves: nobody asks which it is.
const Village Lang = "own"

// OneClip gives a Bank of one clip in Village, of a file that Recorded made.
func OneClip(id string, file []byte) (*Bank, error) {
	w, err := parseWAV(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	k := clipKey{id, Village}
	c, err := clipOf(k, w, BankRate)
	if err != nil {
		return nil, err
	}
	if err := c.proven(); err != nil {
		return nil, err
	}
	if _, err := c.level(BankRate, maxBankBytes); err != nil {
		return nil, err
	}
	return &Bank{rate: BankRate, clips: map[clipKey]*clip{k: c}}, nil
}
