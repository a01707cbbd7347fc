package pulse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
)

// File keeps the counts in a file of JSON, replaced whole: a power cut leaves the
// old or the new one.
type File string

const (
	fileMost     = 64 << 10
	contactsMost = 256
)

// Load is Keep. A file that is not there is no error.
func (f File) Load() (map[string]State, error) {
	r, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, fileMost))
	if err != nil {
		return nil, err
	}
	return parse(b)
}

func parse(b []byte) (map[string]State, error) {
	var v struct {
		Version  int              `json:"version"`
		Contacts map[string]State `json:"contacts"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	if v.Version != 1 || len(v.Contacts) > contactsMost {
		return nil, fmt.Errorf("version %d with %d contacts", v.Version, len(v.Contacts))
	}
	for n, s := range v.Contacts {
		if s.Count > 1<<53 {
			return nil, fmt.Errorf("%.40q has counted %d", n, s.Count)
		}
	}
	return v.Contacts, nil
}

// Save is Keep.
func (f File) Save(m map[string]State) error {
	b, err := json.Marshal(map[string]any{"version": 1, "contacts": m})
	if err != nil {
		return err
	}
	return renameio.WriteFile(string(f), append(b, '\n'), 0o644)
}
