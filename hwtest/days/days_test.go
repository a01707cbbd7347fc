package days

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "make storm.csv and calm.csv anew")

func TestTheDaysAreWhatTheyAreMadeFrom(t *testing.T) {
	for _, c := range []struct {
		name string
		w    weather
		read func() (Day, error)
	}{{"storm", stormWeather, Storm}, {"calm", calmWeather, Calm}} {
		made := c.w.make()
		if *update {
			if err := os.WriteFile(c.name+".csv", made.write(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		kept, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		for n := range kept.Rows {
			for s := range Sensors {
				// Another processor may round a product one unit elsewhere.
				if d := kept.Rows[n][s] - made.Rows[n][s]; d < -1 || d > 1 {
					t.Fatalf("%s row %d %s: %d is kept, %d is made", c.name, n, Names[s], kept.Rows[n][s], made.Rows[n][s])
				}
			}
		}
		first, last := kept.Rows[0], kept.Rows[len(kept.Rows)-1]
		top := first[1]
		for _, r := range kept.Rows {
			top = max(top, r[1])
		}
		t.Logf("%s: %.2f bits a reading by delta and Rice alone, %d bytes; %.1f mm of rain, river %d to %d, at most %d",
			c.name, float64(kept.Plain())/float64(Sensors*(rows-1)), kept.Plain()/8, float64(last[0])/2, first[1], last[1], top)
	}
}

func TestTheStormIsAStormAndTheCalmIsCalm(t *testing.T) {
	if *update {
		t.Skip("made anew")
	}
	storm, err := Storm()
	if err != nil {
		t.Fatal(err)
	}
	calm, err := Calm()
	if err != nil {
		t.Fatal(err)
	}
	if mm := float64(storm.Rows[rows-1][0]) / 2; mm < 150 || mm > 250 {
		t.Errorf("the storm has %.1f mm", mm)
	}
	if calm.Rows[rows-1][0] != 0 {
		t.Error("it rains on the calm day")
	}
	rise := int64(0)
	for _, r := range storm.Rows {
		rise = max(rise, r[1]-storm.Rows[0][1])
	}
	if rise < 200 {
		t.Errorf("the river rises only %d cm", rise)
	}
}
