package drivers

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"
)

// Attention is the dialogue with a modem: commands that begin with AT, lines of
// answer and a final result (ITU-T V.250, 3GPP TS 27.007 section 4). One goroutine
// uses it. Errors are *Fault: FaultRefused with the modem's code where it has one,
// FaultTimeout where no result came.
type Attention struct {
	Port Port
	// Heard is given each line that no command waits for: a ring, a message that
	// came. It must not use the Attention.
	Heard func(line string, at time.Time)
	// Unsolicited are beginnings of lines that are never an answer.
	Unsolicited []string

	buf  []byte
	at   time.Time
	lost bool // a result is outstanding, that of a command given up
}

const (
	longestLine = 1024
	mostLines   = 512
	resyncWait  = 2 * time.Second
)

// Ask sends a command and gives the lines before its result.
func (a *Attention) Ask(ctx context.Context, command string, wait time.Duration) ([]string, error) {
	if a.lost {
		a.lost = false
		if _, err := a.ask(ctx, "AT", resyncWait); err != nil {
			return nil, err
		}
	}
	return a.ask(ctx, command, wait)
}

func (a *Attention) ask(ctx context.Context, command string, wait time.Duration) ([]string, error) {
	if err := a.write([]byte(command + "\r")); err != nil {
		return nil, err
	}
	return a.result(ctx, command, wait)
}

// Prompt sends a command and waits for the modem to ask for more with prompt, as
// "> " or "READY".
func (a *Attention) Prompt(ctx context.Context, command, prompt string, wait time.Duration) error {
	if a.lost {
		a.lost = false
		if _, err := a.ask(ctx, "AT", resyncWait); err != nil {
			return err
		}
	}
	if err := a.write([]byte(command + "\r")); err != nil {
		return err
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		// A prompt has no end of its line.
		if t := bytes.TrimLeft(a.buf, "\r\n"); bytes.HasPrefix(t, []byte(prompt)) {
			a.buf = append(a.buf[:0], t[len(prompt):]...)
			return nil
		}
		if line, ok := a.line(); ok {
			if err := final(line, command); err != nil {
				return err
			}
			if line != command {
				a.idle(line)
			}
			continue
		}
		if err := a.more(ctx, end.C, command); err != nil {
			return err
		}
	}
}

// Tell sends what a prompt asked for, and gives the lines before the result.
func (a *Attention) Tell(ctx context.Context, payload []byte, wait time.Duration) ([]string, error) {
	if _, err := a.Port.Write(payload); err != nil {
		return nil, &Fault{Kind: FaultGone, Err: err}
	}
	return a.result(ctx, "", wait)
}

// Raw sends a command that is answered with bytes. size gives how many there are
// once it can be seen.
func (a *Attention) Raw(ctx context.Context, command string, size func([]byte) (int, bool), wait time.Duration) ([]byte, error) {
	if err := a.write([]byte(command + "\r")); err != nil {
		return nil, err
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		b := a.buf
		if bytes.HasPrefix(b, []byte(command)) { // its echo
			b = bytes.TrimPrefix(bytes.TrimPrefix(b[len(command):], []byte("\r")), []byte("\n"))
		}
		if n, ok := size(b); ok && n <= longestLine && len(b) >= n {
			out := append([]byte(nil), b[:n]...)
			a.buf = append(a.buf[:0], b[n:]...)
			return out, nil
		} else if ok && n > longestLine {
			return nil, &Fault{Kind: FaultGarbled, Detail: "the modem announces more than it can have"}
		}
		if err := a.more(ctx, end.C, command); err != nil {
			return nil, err
		}
	}
}

// Listen takes what came while no command waits.
func (a *Attention) Listen(c Chunk) {
	a.add(c)
	for line, ok := a.line(); ok; line, ok = a.line() {
		a.idle(line)
	}
}

func (a *Attention) idle(line string) {
	if a.Heard != nil && line != "OK" && line != "ERROR" {
		a.Heard(line, a.at)
	}
}

// write sends a command once all that came before has been looked at.
func (a *Attention) write(b []byte) error {
	for more := true; more; {
		select {
		case c, ok := <-a.Port.Received():
			if !ok {
				return &Fault{Kind: FaultGone, Err: a.Port.Err()}
			}
			a.Listen(c)
		default:
			more = false
		}
	}
	if !a.begun() {
		a.buf = a.buf[:0] // half a line belongs to nothing that is asked now
	}
	if _, err := a.Port.Write(b); err != nil {
		return &Fault{Kind: FaultGone, Err: err}
	}
	return nil
}

// begun tells whether half of a line of news has come: a key that is pressed in the
// moment in which something is asked must not be lost.
func (a *Attention) begun() bool {
	half := strings.TrimLeft(string(a.buf[:min(len(a.buf), longestLine)]), "\r\n")
	if half == "" {
		return false
	}
	for _, u := range a.Unsolicited {
		if strings.HasPrefix(half, u) || strings.HasPrefix(u, half) {
			return true
		}
	}
	return false
}

func (a *Attention) result(ctx context.Context, command string, wait time.Duration) (out []string, err error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	for {
		line, ok := a.line()
		switch {
		case !ok:
			if err := a.more(ctx, end.C, command); err != nil {
				return out, err
			}
		case line == "OK":
			return out, nil
		case final(line, command) != nil:
			return out, final(line, command)
		case command != "" && line == command: // its echo
		case a.unsolicited(line), endsCall(line):
			a.idle(line)
		case len(out) < mostLines:
			out = append(out, line)
		}
	}
}

func (a *Attention) unsolicited(line string) bool {
	for _, u := range a.Unsolicited {
		if strings.HasPrefix(line, u) {
			return true
		}
	}
	return false
}

// endsCall tells whether a line is the result of a call: of the command that dials,
// or, later, the news that it ended, which may come within any other answer.
func endsCall(line string) bool {
	switch line {
	case "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE":
		return true
	}
	return false
}

// final gives the fault of a line that ends a command badly; nil where it does not
// end it.
func final(line, command string) error {
	if line == "ERROR" || line == "COMMAND NOT SUPPORT" || endsCall(line) && strings.HasPrefix(command, "ATD") {
		return &Fault{Kind: FaultRefused, Detail: line}
	}
	for _, p := range []string{"+CME ERROR:", "+CMS ERROR:"} {
		if rest, ok := strings.CutPrefix(line, p); ok {
			code, _ := strconv.Atoi(strings.TrimSpace(rest))
			return &Fault{Kind: FaultRefused, Code: code, Detail: line}
		}
	}
	return nil
}

// more waits for bytes.
func (a *Attention) more(ctx context.Context, end <-chan time.Time, command string) error {
	select {
	case c, ok := <-a.Port.Received():
		if !ok {
			return &Fault{Kind: FaultGone, Err: a.Port.Err()}
		}
		a.add(c)
		return nil
	case <-end:
		a.lost = true
		return &Fault{Kind: FaultTimeout, Detail: "no result of " + command}
	case <-ctx.Done():
		a.lost = true
		return &Fault{Kind: FaultCancelled, Detail: "waiting for the result of " + command, Err: ctx.Err()}
	}
}

func (a *Attention) add(c Chunk) { a.buf, a.at = append(a.buf, c.B...), c.At }

// line gives the next whole line that is not empty. What grows longer than any
// line is noise.
func (a *Attention) line() (string, bool) {
	for {
		i := bytes.IndexAny(a.buf, "\r\n")
		if i < 0 {
			if len(a.buf) > longestLine {
				a.buf = a.buf[:0]
			}
			return "", false
		}
		s := string(a.buf[:min(i, longestLine)])
		a.buf = append(a.buf[:0], a.buf[i+1:]...)
		if s = strings.TrimSpace(s); s != "" {
			return s, true
		}
	}
}
