package serial

import (
	"fmt"
	"io/fs"
	"strings"
)

// Missing says that the port is not there, and which are.
type Missing struct {
	Path string
	Have []string
}

func (e *Missing) Error() string {
	if len(e.Have) == 0 {
		return e.Path + " is not there, nor is any other serial port: is the adapter plugged in?"
	}
	return e.Path + " is not there; these ports are: " + strings.Join(e.Have, ", ")
}

// Unwrap gives fs.ErrNotExist.
func (e *Missing) Unwrap() error { return fs.ErrNotExist }

// Denied says that this user may not open the port, and which group may.
type Denied struct{ Path, User, Group string }

func (e *Denied) Error() string {
	return fmt.Sprintf("user %s may not open %s: add it to the group %s (usermod -aG %s %s) and start again", e.User, e.Path, e.Group, e.Group, e.User)
}

// Unwrap gives fs.ErrPermission.
func (e *Denied) Unwrap() error { return fs.ErrPermission }

// Held says that another program has the port.
type Held struct {
	Path string
	By   []Holder
}

func (e *Held) Error() string {
	if len(e.By) == 0 {
		return e.Path + " is held by another program; who cannot be seen (run as root to see it)"
	}
	var by []string
	for _, h := range e.By {
		by = append(by, h.String())
	}
	return e.Path + " is held by " + strings.Join(by, " and ") + ": stop it, or give this line another port"
}

// NotSerial says that the file is there and is no serial port.
type NotSerial struct{ Path string }

func (e *NotSerial) Error() string { return e.Path + " is no serial port" }

// Holder is a program that has a port open.
type Holder struct {
	PID     int
	Program string
}

func (h Holder) String() string { return fmt.Sprintf("%s (pid %d)", h.Program, h.PID) }
