package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/google/renameio/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// duties are the county's own words for its people (fire, chief): who may see which picture goes by them. They lie
// beside the accounts, which know roles alone.
type duties struct {
	name string
	mu   sync.Mutex
	all  map[string][]string // by account
}

const (
	dutiesFile = "duties.json"
	dutiesMost = 16 // of one account
	peopleMost = 256
)

// openDuties reads them. It always gives some that work; an error says that nobody has one.
func openDuties(name string) (*duties, error) {
	d := &duties{name: name, all: map[string][]string{}}
	st, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err == nil && st.Size() > 256<<10 {
		err = errors.New("too large")
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(name)
	}
	var all map[string][]string
	if err == nil {
		all, err = parseDuties(b)
	}
	if err != nil {
		return d, phrase.Wrap(err, "county.duties_damaged", "file", name)
	}
	d.all = all
	return d, nil
}

func parseDuties(b []byte) (map[string][]string, error) {
	all := map[string][]string{}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&all); err != nil {
		return nil, err
	}
	if dec.More() || all == nil || len(all) > peopleMost {
		return nil, errors.New("not a list of duties")
	}
	for _, l := range all {
		if !fitDuties(l) {
			return nil, errors.New("not a list of duties")
		}
	}
	return all, nil
}

func fitDuties(l []string) bool {
	return len(l) <= dutiesMost && !slices.ContainsFunc(l, func(s string) bool { return !letter.IsStream(s) })
}

// of gives an account's; nobody has none.
func (d *duties) of(account string) []string {
	if d == nil || account == "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all[account])
}

// set gives an account its duties, kept before they hold.
func (d *duties) set(account string, l []string) error {
	if !fitDuties(l) {
		return phrase.E("hubd.roles")
	}
	l = slices.Clone(l)
	slices.Sort(l)
	l = slices.Compact(l)
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Equal(d.all[account], l) {
		return nil
	}
	all := map[string][]string{}
	for k, v := range d.all {
		all[k] = v
	}
	if all[account] = l; len(l) == 0 {
		delete(all, account)
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err == nil {
		err = renameio.WriteFile(d.name, append(b, '\n'), 0o600)
	}
	if err != nil {
		return phrase.Wrap(err, "county.duties_unkept", "file", d.name)
	}
	d.all = all
	return nil
}
