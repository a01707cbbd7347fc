package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/sound/speech"
)

func TestARecordingIsSpokenAtItsPaceInSomebodysName(t *testing.T) {
	box := apitest.New(apitest.Calm)
	path, _ := startBox(t, box)
	var f bytes.Buffer
	if err := speech.WriteWAV(&f, speech.PCM{Rate: 8000, Samples: make([]int16, 2400)}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "voice.wav")
	if err := os.WriteFile(file, f.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "talk", file, "--who", "陈会计", "--socket", path, "--lang", "en"); err != nil {
		t.Fatal(err)
	}
	said, first, last := 0, "", ""
	for _, a := range box.Acts() {
		if first == "" {
			first = a.What + " " + a.Who.Name
		}
		if last = a.What; a.What == "speak" {
			said += len(a.Reason)
		}
	}
	if first != "talk 陈会计" || last != "end-talk" || said != 2*4800 {
		t.Errorf("%s … %s, %d bytes", first, last, said)
	}
	if !strings.Contains(out.String(), "300ms were played by 1 loudspeakers") {
		t.Error(out.String())
	}
	if err := edged(t, t.Context(), &out, "talk", file, "--socket", path, "--lang", "en"); err == nil {
		t.Error("nobody spoke")
	}
	if err := edged(t, t.Context(), &out, "talk", path+".no", "--who", "x", "--socket", path, "--lang", "en"); err == nil || !strings.Contains(err.Error(), "WAV") {
		t.Errorf("no file: %v", err)
	}
}
