package point

import "testing"

func TestAValueIsWrittenWithTheDigitsThatItsUnitMeans(t *testing.T) {
	for _, c := range []struct {
		u    Unit
		v    float64
		want string
	}{
		{"m", 101, "101.00"}, {"m", 100.90000000000001, "100.90"}, {"m", -0.001, "0.00"}, {"m", -1.234, "-1.23"},
		{"mm", 2, "2.0"}, {"mm", 1.2000000000000002, "1.2"}, {"mm", 0.25, "0.25"},
		{"%LEL", 0, "0"}, {"%LEL", 12.3456, "12.346"}, {"1", 10, "10"}, {"1", 100, "100"}, {"on/off", 1, "1"}, {"°C", 21, "21.0"},
	} {
		if got := c.u.Write(c.v); got != c.want {
			t.Errorf("%v %s is written %q, want %q", c.v, c.u, got, c.want)
		}
	}
}
