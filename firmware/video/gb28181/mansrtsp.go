package gb28181

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/video/gb28181/mans"
)

// A wish is what a platform asks of a record that plays (Annex B).
type wish struct {
	method string        // PLAY, PAUSE, TEARDOWN
	cseq   string        // of the answer
	scale  float64       // 0 where it stays
	at     time.Duration // from the record's beginning
	seeks  bool
}

var errMANSRTSP = errors.New("not a body of MANSRTSP")

func readWish(b []byte) (wish, error) {
	if len(b) > 2048 {
		return wish{}, errMANSRTSP
	}
	lines := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	if len(lines) > 32 {
		return wish{}, errMANSRTSP
	}
	f := strings.Fields(lines[0])
	if len(f) < 2 || f[len(f)-1] != "MANSRTSP/1.0" && f[len(f)-1] != "RTSP/1.0" {
		return wish{}, errMANSRTSP
	}
	w := wish{method: strings.ToUpper(f[0])}
	if w.method != "PLAY" && w.method != "PAUSE" && w.method != "TEARDOWN" {
		return wish{}, errMANSRTSP
	}
	for _, l := range lines[1:] {
		k, v, ok := strings.Cut(l, ":")
		if !ok {
			continue
		}
		v = strings.TrimSpace(v)
		switch strings.ToLower(strings.TrimSpace(k)) {
		case "cseq":
			if len(v) > 10 || !mans.Digits(v) {
				return wish{}, errMANSRTSP
			}
			w.cseq = v
		case "scale":
			s, err := strconv.ParseFloat(v, 64)
			if err != nil || !(s >= 0.0625 && s <= 32) {
				return wish{}, errMANSRTSP
			}
			w.scale = s
		case "range":
			from, ok := strings.CutPrefix(strings.ReplaceAll(v, " ", ""), "npt=")
			if !ok {
				return wish{}, errMANSRTSP
			}
			from, _, _ = strings.Cut(from, "-")
			if from == "now" {
				continue
			}
			s, err := strconv.ParseFloat(from, 64)
			if err != nil || !(s >= 0 && s <= 31*24*3600) {
				return wish{}, errMANSRTSP
			}
			w.at, w.seeks = time.Duration(s*float64(time.Second)), true
		}
	}
	return w, nil
}
