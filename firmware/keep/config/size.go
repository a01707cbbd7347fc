package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Size is a number of bytes.
type Size struct{ bytes int64 }

var sizes = []struct {
	unit  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// UnmarshalYAML reads "512 MiB".
func (s *Size) UnmarshalYAML(n ast.Node) error {
	t, err := scalar(n)
	if err == nil {
		s.bytes, err = parseSize(t)
	}
	return place(n, err)
}

func parseSize(t string) (int64, error) {
	for _, u := range sizes {
		if v, ok := strings.CutSuffix(strings.TrimSpace(t), u.unit); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err == nil && n >= 0 && n*float64(u.bytes) < 1<<50 {
				return int64(n * float64(u.bytes)), nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a size, such as 512 MiB or 2 GiB", t)
}

// Bytes gives the size; 0 where none was written.
func (s Size) Bytes() int64 { return s.bytes }
