//go:build peers

package station

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestAMasterThatIsNotOursReadsThroughTheProxy has mbpoll as the client.
func TestAMasterThatIsNotOursReadsThroughTheProxy(t *testing.T) {
	name, err := exec.LookPath("mbpoll")
	if err != nil {
		t.Fatal("mbpoll is not installed")
	}
	w := newTown(t)
	host, port, err := net.SplitHostPort(w.proxied("field", ""))
	if err != nil {
		t.Fatal(err)
	}
	poll := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), name, append([]string{"-0", "-1", "-q", "-m", "tcp", "-p", port, "-o", "3"}, args...)...).CombinedOutput()
		return strings.Join(strings.Fields(string(out)), " "), err
	}
	out, err := poll("-a", "1", "-t", "4", "-r", "0", "-c", "1", host)
	if err != nil || !strings.Contains(out, "[0]:") {
		t.Errorf("a read: %v %s", err, out)
	}
	if out, err = poll("-a", "1", "-t", "4", "-r", "0", host, "5"); err == nil || !strings.Contains(out, "Illegal function") {
		t.Errorf("a write: %v %s", err, out)
	}
	if out, err = poll("-a", "99", "-t", "4", "-r", "0", "-c", "1", host); err == nil || !strings.Contains(out, "Target device failed to respond") {
		t.Errorf("a unit that is not there: %v %s", err, out)
	}
}
