package relay

import "fmt"

// Warn and what follows give a line of the server's at the level of a detail: anybody on the
// net can make it say them.
func (l line) Warn(s string)             { l.log.Debug("turn: " + s) }
func (l line) Warnf(f string, v ...any)  { l.log.Debug("turn: " + fmt.Sprintf(f, v...)) }
func (l line) Error(s string)            { l.log.Debug("turn: " + s) }
func (l line) Errorf(f string, v ...any) { l.log.Debug("turn: " + fmt.Sprintf(f, v...)) }
