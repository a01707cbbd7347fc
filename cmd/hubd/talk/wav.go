package talk

import (
	"context"
	"os"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/g711"
	"tocsin/firmware/sound/speech"
)

// ReadWAV reads a file of 16-bit PCM or IMA ADPCM as A-law at 8 kHz, of one channel.
func ReadWAV(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.talk_wav", "file", name)
	}
	defer f.Close()
	p, err := speech.ReadWAV(f)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.talk_wav", "file", name)
	}
	return g711.A.Encode(nil, speech.Resample(p, g711.Rate).Samples), nil
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
