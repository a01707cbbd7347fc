package port

import (
	"bufio"
	"os"
	"testing"
	"time"
)

func TestBytesGoBothWaysAndClosingHangsUp(t *testing.T) {
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	near, err := os.OpenFile(p.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	near.WriteString("to the far end\n")
	p.SetReadDeadline(time.Now().Add(5 * time.Second))
	if s, err := bufio.NewReader(p).ReadString('\n'); s != "to the far end\n" {
		t.Fatalf("%q, %v", s, err)
	}
	p.WriteString("to the near end\n")
	if s, err := bufio.NewReader(near).ReadString('\n'); s != "to the near end\n" {
		t.Fatalf("%q, %v", s, err)
	}
	p.Close()
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the near end goes on after the far one closed")
	}
}
