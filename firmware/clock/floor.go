package clock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// floorFile is the floor's file in the data directory: one RFC 3339 time.
const floorFile = "clock.floor"

// LoadFloor reads the persisted floor. A file that is missing gives the zero
// time; a damaged one gives the zero time and an error that says so. A floor
// further than ten years ahead of build is taken for damage, since it would
// expire every alert.
func LoadFloor(dir string, build time.Time) (time.Time, error) {
	b, err := os.ReadFile(filepath.Join(dir, floorFile))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", floorFile, err)
	}
	if !build.IsZero() && t.After(build.AddDate(10, 0, 0)) {
		return time.Time{}, fmt.Errorf("%s: %s is more than ten years after this build", floorFile, t.Format(time.RFC3339))
	}
	return t, nil
}

// SaveFloor writes the floor so that a power cut leaves the old or the new one.
func SaveFloor(dir string, t time.Time) error {
	return renameio.WriteFile(filepath.Join(dir, floorFile), []byte(t.UTC().Format(time.RFC3339)+"\n"), 0o644)
}
