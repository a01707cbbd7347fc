package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// The floor is a number above every one that was ever given, kept beside the file
// so that a new file goes on above it. It is raised in steps, before a number is
// used, so that it is written once in a thousand records.
const (
	floorName = "journal.floor"
	floorStep = 1024
	maxSeq    = 1 << 52 // no box writes so many; more is damage
)

// readFloor gives the floor, 0 where there is none or it is damaged.
func readFloor(dir string) int64 {
	b, err := os.ReadFile(filepath.Join(dir, floorName))
	if err != nil || len(b) > 32 {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n < 0 || n > maxSeq {
		return 0
	}
	return n
}

// reserve raises the floor above the numbers of records before they are used.
func (j *Journal) reserve(records []Record) error {
	if len(records) == 0 {
		return nil
	}
	last := records[len(records)-1].Seq
	if last < j.floor {
		return nil
	}
	floor := last + floorStep
	if err := renameio.WriteFile(filepath.Join(j.dir, floorName), fmt.Appendf(nil, "%d\n", floor), 0o640); err != nil {
		return err
	}
	if err := syncFile(j.dir); err != nil {
		return err
	}
	j.floor = floor
	return nil
}
