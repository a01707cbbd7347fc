package apitest

import (
	"fmt"
	"io"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// Record remembers who recorded what.
func (b *Box) Record(name string, wav io.Reader, who api.Who) (api.Recording, error) {
	n, err := io.Copy(io.Discard, wav)
	if err != nil {
		return api.Recording{}, phrase.Wrap(err, "speech.recorded.format")
	}
	if n < 4 {
		return api.Recording{}, phrase.E("speech.recorded.format")
	}
	return api.Recording{ID: "rec-2", Name: name, Who: who.Name, At: At, Long: 4 * time.Second}, b.act(Act{What: "record", ID: name, Reason: fmt.Sprint(n), Who: who})
}

// Recorded gives the one that there is.
func (b *Box) Recorded(id string) ([]byte, error) {
	if id != "rec-1" && id != "rec-2" {
		return nil, &phrase.Error{Message: phrase.M("station.recording_gone"), Err: api.ErrUnknown}
	}
	return []byte("RIFF"), nil
}

// UseRecording remembers who put it to use.
func (b *Box) UseRecording(id string, who api.Who) error {
	return b.act(Act{What: "use-recording", ID: id, Who: who})
}

// DropRecording remembers who deleted it.
func (b *Box) DropRecording(id string, who api.Who) error {
	return b.act(Act{What: "drop-recording", ID: id, Who: who})
}
