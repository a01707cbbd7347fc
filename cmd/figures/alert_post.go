package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// verdict is what the bench reads of the box's answer to an alert.
type verdict struct {
	WellFormed bool   `json:"well_formed"`
	Genuine    bool   `json:"genuine"`
	Trusted    bool   `json:"trusted"`
	InForce    bool   `json:"in_force"`
	Outcome    text   `json:"outcome"`
	Identity   string `json:"identity"`
	Reasons    []struct {
		Path  string `json:"path"`
		Part  string `json:"part"`
		Fatal bool   `json:"fatal"`
		Text  text   `json:"text"`
	} `json:"reasons"`
}

// stands is what must never be said of a forged alert.
func (v verdict) stands() bool { return v.Trusted && v.InForce }

// why gives the first reason that answers with no.
func (v verdict) why() string {
	for _, r := range v.Reasons {
		if r.Fatal {
			return r.Part + ": " + r.Text.EN + " [" + r.Path + "]"
		}
	}
	return v.Outcome.EN
}

// busy is the answer of a box that has no room now.
type busy struct{ after time.Duration }

func (b busy) Error() string { return fmt.Sprintf("busy, again after %v", b.after) }

// alert hands an alert to the box. What the box refuses to read at all is answered
// by the zero verdict.
func (x *box) alert(text []byte) (v verdict, err error) {
	r, err := http.NewRequestWithContext(x.b.ctx, http.MethodPost, "http://edged/api/v1/alerts", bytes.NewReader(text))
	if err != nil {
		return v, err
	}
	r.Header.Set("Content-Type", "application/cap+xml")
	resp, err := x.http.Do(r)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return v, err
	case resp.StatusCode == http.StatusServiceUnavailable:
		s, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return v, busy{time.Duration(s) * time.Second}
	case resp.StatusCode >= 500:
		return v, fmt.Errorf("%s: %s", resp.Status, p)
	case resp.StatusCode >= 300:
		return v, nil
	}
	return v, json.Unmarshal(p, &v)
}

// insist hands it over until the box has room.
func (x *box) insist(text []byte) (verdict, error) {
	for {
		v, err := x.alert(text)
		if _, later := err.(busy); !later {
			return v, err
		}
		if err := x.b.pause(200 * time.Millisecond); err != nil {
			return v, err
		}
	}
}

// warnedVillage is the village with a site that trusts the desk, and a receiver
// that sets the box's clock.
func (b *bench) warnedVillage(d *desk, w wired) (*village, error) {
	w.sky = true
	v, err := b.village(w)
	if err != nil {
		return nil, err
	}
	if v.more, err = d.trusted(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// beginWarned starts a box on it and waits until it is armed and believes its clock.
func (v *village) beginWarned(data string) (*box, error) {
	site, err := v.site()
	if err != nil {
		return nil, err
	}
	x, err := v.b.startArmed(site, filepath.Join(v.b.dir, data))
	if err != nil {
		return nil, err
	}
	err = v.b.until("a clock that is believed", 30*time.Second, func() bool {
		var st struct {
			Trust string `json:"clock_trust"`
		}
		return x.get("/status", &st) == nil && st.Trust == "set"
	})
	if err != nil {
		x.end()
		return nil, err
	}
	return x, nil
}

// known are the alerts that the box has, as it shows them.
func (x *box) known() ([]map[string]any, error) {
	var all []map[string]any
	return all, x.get("/alerts", &all)
}
