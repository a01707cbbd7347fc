//go:build peers

package line

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

// mbpoll is a master that is not ours: what it reads, the bench says.
func mbpoll(t *testing.T, args ...string) string {
	t.Helper()
	name, err := exec.LookPath("mbpoll")
	if err != nil {
		t.Skip("mbpoll is not installed")
	}
	out, err := exec.CommandContext(t.Context(), name, append([]string{"-0", "-1", "-q"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mbpoll %v: %v\n%s", args, err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func TestAMasterThatIsNotOursReadsTheLine(t *testing.T) {
	l := newLine(t, Config{Baud: 9600})
	l.Attach(7, pattern(7))
	out := mbpoll(t, "-m", "rtu", "-a", "7", "-b", "9600", "-P", "none", "-t", "4", "-r", "5", "-c", "2", l.Path())
	if !strings.Contains(out, "[5]: 7005") || !strings.Contains(out, "[6]: 7006") {
		t.Errorf("read %q", out)
	}
	if c := l.Counters(); c.Requests != 1 || c.BadFrames != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestAMasterThatIsNotOursReadsTheGateway(t *testing.T) {
	g := newTCP(t)
	host, port, err := net.SplitHostPort(g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	out := mbpoll(t, "-m", "tcp", "-p", port, "-a", "1", "-t", "4", "-r", "5", "-c", "2", host)
	if !strings.Contains(out, "[5]: 1005") || !strings.Contains(out, "[6]: 1006") {
		t.Errorf("read %q", out)
	}
}
