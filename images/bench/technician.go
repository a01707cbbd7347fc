package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"time"
)

// Technician is somebody before a board's page, signed in.
type Technician struct {
	b *Board
	c *http.Client
}

// Who the technician of the bench is.
const (
	account  = "wang"
	password = "huangdu-bridge-seven-lanterns"
	// Label is the set-up secret that is printed on the bench's boards.
	Label = "ACDEF-GHJKM"
)

// Refused is what the page said no with.
type Refused struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	ZH     string `json:"zh"`
	EN     string `json:"en"`
}

func (r *Refused) Error() string { return r.Code + ": " + r.EN }

// Told is a message as the page has it.
type Told struct {
	Code string `json:"code"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

// Software is what the page says of the board's software.
type Software struct {
	Why     *Told  `json:"why"`
	Phase   string `json:"phase"`
	Running struct {
		Version string `json:"version"`
		Number  uint64 `json:"number"`
	} `json:"running"`
	Reason *Told `json:"reason"`
	Barred *Told `json:"barred"`
	Unfit  *Told `json:"unfit"`
}

// Technician gives one of this board who is not signed in yet.
func (b *Board) Technician() *Technician {
	c := Client(0)
	c.Jar, _ = cookiejar.New(nil) // never fails without a list
	return &Technician{b, c}
}

// SetUp makes the board's first owner by the secret on its label.
func (t *Technician) SetUp() error {
	return t.form("/setup", url.Values{"secret": {Label}, "account": {account}, "name": {"王工"}, "password": {password}, "again": {password}})
}

// SignIn signs in on a board that was set up.
func (t *Technician) SignIn() error {
	return t.form("/sign-in", url.Values{"account": {account}, "password": {password}})
}

// form sends one of the page's forms until the page answers; it leads on where it took it.
func (t *Technician) form(path string, v url.Values) error {
	var last error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		r, err := t.c.PostForm(t.b.Address()+path, v)
		if err != nil {
			last = err
			continue
		}
		page, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		r.Body.Close()
		if r.StatusCode == http.StatusSeeOther {
			return nil
		}
		last = fmt.Errorf("%s: %s: %.300s", path, r.Status, page)
		if r.StatusCode < 500 && r.StatusCode != http.StatusTooManyRequests {
			return last
		}
	}
	return last
}

// ask calls the board's API once. A refusal is a *Refused.
func (t *Technician) ask(method, path string, send io.Reader, kind string, answer any) error {
	q, err := http.NewRequest(method, t.b.Address()+"/api/v1"+path, send)
	if err != nil {
		return err
	}
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	r, err := t.c.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return err
	}
	if r.StatusCode >= 300 {
		no := &Refused{Status: r.StatusCode}
		if json.Unmarshal(text, no) != nil || no.Code == "" {
			return fmt.Errorf("%s %s: %s: %.300s", method, path, r.Status, text)
		}
		return no
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// Ask asks for something of the API until it answers, and gives up at a refusal.
func (t *Technician) Ask(path string, answer any, most time.Duration) error {
	for end := time.Now().Add(most); ; time.Sleep(200 * time.Millisecond) {
		err := t.ask(http.MethodGet, path, nil, "", answer)
		var no *Refused
		if err == nil || errors.As(err, &no) && no.Status < 500 || time.Now().After(end) {
			return err
		}
	}
}

// Software asks how the board's software stands, until it can say.
func (t *Technician) Software(most time.Duration) (s Software, err error) {
	for end := time.Now().Add(most); ; time.Sleep(200 * time.Millisecond) {
		s = Software{}
		err = t.Ask("/update", &s, time.Until(end))
		if err != nil || s.Why == nil || time.Now().After(end) {
			return s, err
		}
	}
}

// Bring brings a release file, as the page does.
func (t *Technician) Bring(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.BringFrom(f)
}

// BringFrom brings what r gives.
func (t *Technician) BringFrom(r io.Reader) error {
	return t.ask(http.MethodPost, "/update/file", io.NopCloser(r), "application/octet-stream", nil)
}

// Activate lets what was brought be tried.
func (t *Technician) Activate(within time.Duration) error {
	body, err := json.Marshal(map[string]any{"within_ns": within})
	if err != nil {
		return err
	}
	return t.ask(http.MethodPost, "/update/activate", bytes.NewReader(body), "application/json", nil)
}

// Record is one of the journal's.
type Record struct {
	Kind string `json:"kind"`
	Text Told   `json:"text"`
}

// Records gives the journal's newest of updates, oldest first.
func (t *Technician) Records() (out []Record, err error) {
	var all []Record
	if err := t.Ask("/journal/recent?limit=200", &all, 20*time.Second); err != nil {
		return nil, err
	}
	for _, e := range all {
		if strings.HasPrefix(e.Kind, "update.") {
			out = append(out, e)
		}
	}
	return out, nil
}

// Events gives Records as text.
func (t *Technician) Events() (out []string, err error) {
	all, err := t.Records()
	for _, e := range all {
		out = append(out, e.Kind+" "+e.Text.EN)
	}
	return out, err
}
