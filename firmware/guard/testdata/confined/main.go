// Command confined says what is left to a process that confined itself.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"tocsin/firmware/guard"
)

func main() {
	dir := os.Args[1]
	err := guard.Confine([]string{"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", filepath.Join(dir, "read")}, []string{"/dev/null", filepath.Join(dir, "own")})
	if errors.Is(err, guard.ErrUnconfined) {
		fmt.Println("unconfined:", err)
		return
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	done := make(chan string)
	go func() { // another thread is as confined
		s := ""
		for _, d := range []string{"own", "others", "read"} {
			r, w := "none", "none"
			if _, err := os.ReadFile(filepath.Join(dir, d, "file")); err == nil {
				r = "read"
			}
			if os.WriteFile(filepath.Join(dir, d, "new"), nil, 0o600) == nil {
				w = "write"
			}
			s += fmt.Sprintf("%s %s %s; ", d, r, w)
		}
		done <- s
	}()
	s := <-done
	run := "no"
	if exec.Command("/bin/true").Run() == nil {
		run = "yes"
	}
	fmt.Printf("%srun %s\n", s, run)
}
