// Command pry stands in edged's place on a board and tries what no process of edged's user
// may do: the bench puts it into a release, and reads on the console how far it comes.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	who := "edged"
	if len(os.Args) == 2 && os.Args[1] == "child" {
		who = "child"
	}
	say := func(format string, a ...any) { fmt.Println("pry: " + who + " " + fmt.Sprintf(format, a...)) }
	tried, opened := 0, []string{}
	_ = filepath.WalkDir("/dev", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeDevice == 0 || d.Type()&fs.ModeCharDevice != 0 {
			return nil
		}
		tried++
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR} {
			if f, err := os.OpenFile(path, flag, 0); err == nil {
				opened = append(opened, path)
				f.Close()
			}
		}
		return nil
	})
	say("as %d tried %d disks and opened %q", os.Getuid(), tried, opened)
	for _, slot := range []string{"A", "B"} {
		for _, write := range []bool{false, true} {
			fd, err := ask(slot, write)
			if err != nil {
				say("slot %s, write %v: %v", slot, write, err)
				continue
			}
			say("slot %s, write %v: given", slot, write)
			for _, flag := range []int{os.O_RDONLY, os.O_RDWR} { // by its descriptor, another
				if f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), flag, 0); err == nil {
					say("opened slot %s again", slot)
					f.Close()
				}
			}
		}
	}
	if who == "child" {
		return
	}
	c := exec.Command("/proc/self/exe", "child")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	say("is done: %v", c.Run())
	time.Sleep(time.Hour)
}

// ask has init open a slot, and gives the descriptor.
func ask(slot string, write bool) (int, error) {
	conn, err := net.Dial("unix", os.Getenv("TOCSIN_INIT"))
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	c := conn.(*net.UnixConn)
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return -1, err
	}
	if err := json.NewEncoder(c).Encode(map[string]any{"do": "slot", "slot": slot, "write": write}); err != nil {
		return -1, fmt.Errorf("not answered")
	}
	text, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := c.ReadMsgUnix(text, rights)
	if err != nil || n == 0 {
		return -1, fmt.Errorf("not answered")
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return -1, err
	}
	for _, msg := range messages {
		if fds, err := unix.ParseUnixRights(&msg); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, fmt.Errorf("%.200s", text[:n])
}
