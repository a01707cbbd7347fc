//go:build peers

package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"tocsin/hwtest/days"
)

// TestAnotherProgramReadsOurBlocksByTheDescription gives both days, and the vectors with gaps and thinned channels, to a
// reader in another language that was written from doc.go.
func TestAnotherProgramReadsOurBlocksByTheDescription(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed:", err)
	}
	d := Dictionary{ID: 1, Channels: days.Sensors}
	for _, read := range []func() (days.Day, error){days.Storm, days.Calm} {
		s := dayOf(t, read)
		e, _ := NewEncoder(d, 0)
		r, _ := NewDecoder(d)
		var in bytes.Buffer
		var want []Series
		send := func(b Block, err error) {
			if err != nil {
				t.Fatal(err)
			}
			_, got, err := r.Decode(b.Bytes, s.Minute)
			if err != nil {
				t.Fatal(err)
			}
			e.Acked(b.Number)
			fmt.Fprintf(&in, "%x\n", b.Bytes)
			want = append(want, got)
		}
		for at := 0; at < len(s.Rows); {
			b, err := e.Encode(Series{Minute: s.Minute + int64(at*5), Step: 5, Rows: s.Rows[at:]}, 66)
			send(b, err)
			at += b.Rows
		}
		gap := Series{Minute: s.Minute + 2000, Step: 5}
		for i := range 30 {
			row := append([]Value{}, s.Rows[150+i]...)
			if i%7 == 3 {
				row[i%10] = Value{}
			}
			row[2].V *= int32(1 + 1000*(i%3)) // leaps
			gap.Rows = append(gap.Rows, row)
		}
		b, err := e.EncodeAll(gap, 1000)
		send(b, err)
		for i := range gap.Rows {
			gap.Rows[i][2].V = s.Rows[150+i][2].V
		}
		gap.Minute += 30 * 5
		b, err = e.EncodeAll(gap, 100)
		send(b, err)
		cmd := exec.Command(python, "../../../hwtest/peers/wire_block.py", fmt.Sprint(days.Sensors), fmt.Sprint(s.Minute), "logistic.go")
		cmd.Stdin = &in
		var trouble bytes.Buffer
		cmd.Stderr = &trouble
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, trouble.Bytes())
		}
		lines := bufio.NewScanner(bytes.NewReader(out))
		lines.Buffer(nil, 1<<20)
		n := 0
		for ; lines.Scan(); n++ {
			var got struct {
				Minute int64
				Step   int
				Rows   [][]*int32
			}
			if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Minute != want[n].Minute || got.Step != want[n].Step || len(got.Rows) != len(want[n].Rows) {
				t.Fatalf("block %d: minute %d, %d rows", n, got.Minute, len(got.Rows))
			}
			for i, row := range got.Rows {
				for c, v := range row {
					if w := want[n].Rows[i][c]; (v == nil) != (w.State == Missing) || v != nil && *v != w.V {
						t.Fatalf("block %d, row %d, channel %d", n, i, c)
					}
				}
			}
		}
		if n != len(want) {
			t.Errorf("%d of %d blocks", n, len(want))
		}
	}
}
