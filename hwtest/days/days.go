package days

import (
	"embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

const (
	// Sensors is how many columns a day has, Rows how many rows, step minutes apart.
	Sensors = 10
	rows    = 288
	step    = 5
)

// Names are the columns.
var Names = [Sensors]string{"rain", "river", "pool", "velocity", "soil", "pore", "air", "humidity", "wind", "battery"}

// Day is one day: a row each five minutes from midnight.
type Day struct{ Rows [][Sensors]int64 }

//go:embed storm.csv calm.csv
var files embed.FS

// Storm and Calm give the two days as they were committed.
func Storm() (Day, error) { return read("storm.csv") }

// Calm gives the calm one.
func Calm() (Day, error) { return read("calm.csv") }

func read(name string) (Day, error) {
	b, err := files.ReadFile(name)
	if err != nil {
		return Day{}, err
	}
	lines, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		return Day{}, fmt.Errorf("%s: %w", name, err)
	}
	var d Day
	for n, l := range lines {
		if n == 0 {
			continue
		}
		if len(l) != Sensors+1 {
			return Day{}, fmt.Errorf("%s: row %d has %d columns", name, n, len(l))
		}
		var row [Sensors]int64
		for c := range row {
			if row[c], err = strconv.ParseInt(l[c+1], 10, 64); err != nil {
				return Day{}, fmt.Errorf("%s: row %d: %w", name, n, err)
			}
		}
		d.Rows = append(d.Rows, row)
	}
	if len(d.Rows) != rows {
		return Day{}, fmt.Errorf("%s: %d rows, not %d", name, len(d.Rows), rows)
	}
	return d, nil
}

// write gives a day as its file.
func (d Day) write() []byte {
	var b strings.Builder
	b.WriteString("time," + strings.Join(Names[:], ",") + "\n")
	for n, row := range d.Rows {
		fmt.Fprintf(&b, "%02d:%02d", n*step/60, n*step%60)
		for _, v := range row {
			fmt.Fprintf(&b, ",%d", v)
		}
		b.WriteString("\n")
	}
	return []byte(b.String())
}

// Plain is the bits that delta and Rice take with one best parameter a channel and no
// header at all: how hard a day is.
func (d Day) Plain() (bits int) {
	for c := range Sensors {
		best := 0
		for k := range 16 {
			n := 0
			for i := 1; i < len(d.Rows); i++ {
				v := d.Rows[i][c] - d.Rows[i-1][c]
				u := uint64(v<<1 ^ v>>63)
				n += int(u>>k) + 1 + k
			}
			if k == 0 || n < best {
				best = n
			}
		}
		bits += best
	}
	return bits
}
