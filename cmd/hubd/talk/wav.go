package talk

import (
	"context"
	"encoding/binary"
	"os"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/g711"
)

// wavMost bounds a file: an hour of stereo at 48 kHz is more than anybody speaks.
const wavMost = 64 << 20

// ReadWAV reads a file of 16-bit PCM (RIFF/WAVE, format 1) as A-law at 8 kHz, of one channel.
func ReadWAV(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil || st.Size() > wavMost {
		return nil, phrase.E("hubd.talk_wav", "file", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.talk_wav", "file", name)
	}
	s, rate, ok := parseWAV(b)
	if !ok {
		return nil, phrase.E("hubd.talk_wav", "file", name)
	}
	return g711.A.Encode(nil, slower(s, rate)), nil
}

// parseWAV gives the samples of one channel: the mean of all.
func parseWAV(b []byte) (s []int16, rate int, ok bool) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, false
	}
	channels := 0
	for b = b[12:]; len(b) >= 8; {
		id, n := string(b[:4]), int(binary.LittleEndian.Uint32(b[4:8]))
		b = b[8:]
		if n > len(b) || n < 0 {
			n = len(b) // a file that was not ended
		}
		switch {
		case id == "fmt " && n >= 16:
			channels, rate = int(binary.LittleEndian.Uint16(b[2:])), int(binary.LittleEndian.Uint32(b[4:]))
			if binary.LittleEndian.Uint16(b) != 1 || binary.LittleEndian.Uint16(b[14:]) != 16 || channels < 1 || channels > 8 || rate < 8000 || rate > 192000 {
				return nil, 0, false
			}
		case id == "data" && channels > 0:
			for i := 0; i+2*channels <= n; i += 2 * channels {
				sum := 0
				for c := range channels {
					sum += int(int16(binary.LittleEndian.Uint16(b[i+2*c:])))
				}
				s = append(s, int16(sum/channels))
			}
			return s, rate, len(s) > 0
		}
		b = b[min(len(b), n+n&1):]
	}
	return nil, 0, false
}

// slower brings samples to 8 kHz: the mean over each new sample's time keeps most of what 8 kHz
// cannot carry out of it.
func slower(s []int16, rate int) []int16 {
	if rate == g711.Rate {
		return s
	}
	out := make([]int16, 0, len(s)*g711.Rate/rate+1)
	for n := 0; ; n++ {
		from, to := n*rate/g711.Rate, (n+1)*rate/g711.Rate
		if to > len(s) {
			return out
		}
		sum := 0
		for _, x := range s[from:to] {
			sum += int(x)
		}
		out = append(out, int16(sum/max(1, to-from)))
	}
}

// Play says all of it at its pace, as soon as the box can be spoken to.
func Play(ctx context.Context, c *Call, alaw []byte) error {
	if err := c.Ready(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(2 * frameEach)
	defer tick.Stop()
	began, said := time.Now(), 0
	for len(alaw) > 0 {
		// A tenth of a second ahead, however busy this machine is.
		n := min(int((time.Since(began)+100*time.Millisecond)*g711.Rate/time.Second)-said, len(alaw))
		said += n
		if _, err := c.Write(alaw[:n]); err != nil {
			return err
		}
		alaw = alaw[n:]
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.Over():
			return c.Err()
		case <-tick.C:
		}
	}
	return nil
}
