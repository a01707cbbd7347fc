// Command edged is the box: the daemon that reads, decides and sounds. It carries only
// what that needs. Every other command (edged status, edged check, …) is done by
// edged-desk, a program beside it, in this process' place; whoever types sees no
// difference. The box that runs never needs it to warn.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"tocsin/firmware/phrase"
	"tocsin/firmware/station"
)

func main() {
	l, ok := parse(os.Args[1:], os.Getenv)
	if !ok {
		err := desk()
		fmt.Fprintln(os.Stderr, "edged: "+phrase.In(err, l.said()))
		os.Exit(1)
	}
	err := run(l)
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "edged: "+phrase.In(err, l.said()))
		os.Exit(1)
	}
}

// desk goes on as edged-desk with the same command line. It comes back with why not.
func desk() error {
	at, err := station.Beside(station.DeskProgram)
	if err != nil {
		return err
	}
	err = syscall.Exec(at, append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...), os.Environ())
	return phrase.Wrap(err, "edged.file", "file", at, "detail", err)
}

// exitCode ends the program with a code, its message having been printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }
