package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust/xmldsig"
)

// Office is what the console asks of the post office.
type Office interface {
	Send(ctx context.Context, d post.Dispatch) (failed []letter.Station, err error)
	State() post.State
}

// Answer is what the desk hears of a dispatch.
type Answer struct {
	ID     string           `json:"id"`
	About  string           `json:"about"`
	Sent   []letter.Station `json:"sent"`
	Failed []letter.Station `json:"failed,omitempty"`
	// Ways tell what goes by which link, and what cannot.
	Ways []phrase.Message `json:"ways,omitempty"`
	// Odd are findings that do not stop it, Error what did.
	Odd   []phrase.Message `json:"odd,omitempty"`
	Error phrase.Message   `json:"error,omitzero"`
}

// alertMost is what a station reads of an alert.
const alertMost = letter.BodyMost

// Alert reads an alert as the stations will, and gives the letter that carries its
// very bytes.
func Alert(raw []byte, tables *alert.Tables) (l letter.Letter, about string, names []wire.About, odd []phrase.Message, err error) {
	a, findings := alert.Parse(raw, tables)
	for _, f := range findings {
		if f.Fatal {
			return l, "", nil, nil, &phrase.Error{Message: phrase.M("hubd.alert_form", "path", f.Path, "what", f.What)}
		}
		odd = append(odd, phrase.M("hubd.alert_odd", "path", f.Path, "what", f.What))
	}
	doc, err := xmldsig.Parse(raw, xmldsig.DefaultLimits)
	if err != nil {
		return l, "", nil, nil, err
	}
	if a == nil || doc.Signatures() == 0 {
		return l, "", nil, nil, phrase.E("hubd.alert_unsigned")
	}
	about = a.Identifier
	if in := a.Info("zh-CN"); in != nil && in.Headline != "" {
		about = in.Headline
	}
	d := sha256.Sum256(raw)
	return letter.Letter{ID: "a-" + hex.EncodeToString(d[:12]), Class: letter.Warning, Body: raw}, about, []wire.About{wire.AboutAlert(a.Ref().Key())}, odd, nil
}

// dispatch handles POST /v1/alert?to=AREA.
func (c *Console) dispatch(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, alertMost))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, phrase.E("hubd.alert_large", "most", alertMost))
		return
	}
	l, about, names, odd, err := Alert(raw, c.file.Warnings.CAP)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	c.give(w, r, post.Dispatch{Letter: l, About: about, Names: logbook.WriteNames(names)}, odd)
}

// short handles POST /v1/short?to=AREA&with=ID: 78 bytes that say the same as the letter ID.
func (c *Console) short(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, compact.Size))
	if err == nil && !compact.Is(raw) {
		err = phrase.E("compact.length", "bytes", len(raw), "want", compact.Size)
	}
	var n issue.Named
	if err == nil {
		n, err = issue.NamesOf(c.file, raw, c.now())
	}
	with := r.URL.Query().Get("with")
	if err == nil && with != "" && !letter.IsID(with) {
		err = phrase.E("letter.id", "id", "", "most", letter.IDMost)
	}
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	// A receipt for the full form ends the repeating of the short one.
	for _, s := range c.office.State().Sent {
		if s.ID == with {
			n.Names = append(n.Names, logbook.ReadNames(s.Names)...)
		}
	}
	d := sha256.Sum256(raw)
	l := letter.Letter{ID: "c-" + hex.EncodeToString(d[:12]), Class: letter.Warning, Body: raw}
	c.give(w, r, post.Dispatch{Letter: l, About: n.About, Names: logbook.WriteNames(n.Names), With: with}, nil)
}

// give hands a letter to the stations of an area.
func (c *Console) give(w http.ResponseWriter, r *http.Request, d post.Dispatch, odd []phrase.Message) {
	to, err := c.file.Match(r.URL.Query().Get("to"))
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	d.By, d.To = caller(r.Context()), to
	failed, err := c.office.Send(r.Context(), d)
	a := Answer{ID: d.Letter.ID, About: d.About, Odd: odd, Failed: failed, Ways: c.ways(d.Letter.Body, to)}
	for _, s := range to {
		if !contains(failed, s) {
			a.Sent = append(a.Sent, s)
		}
	}
	c.log.Info("an alert was sent down", "id", d.Letter.ID, "by", d.By, "to", r.URL.Query().Get("to"), "stations", len(a.Sent), "failed", len(failed))
	status := http.StatusOK
	if err != nil {
		a.Error, status = phrase.Of(err), http.StatusBadGateway
	}
	answer(w, status, a)
}

func contains(list []letter.Station, s letter.Station) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, Answer{Error: phrase.Of(err)})
}

func answer(w http.ResponseWriter, status int, a Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a)
}

type callerKey struct{}

// callerOf asks the kernel who is at the other end of a socket.
func callerOf(ctx context.Context, c net.Conn) context.Context {
	name := "?"
	if u, ok := c.(*net.UnixConn); ok {
		if raw, err := u.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					name = "uid " + strconv.Itoa(int(cred.Uid))
					if u, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
						name = u.Username
					}
				}
			})
		}
	}
	return context.WithValue(ctx, callerKey{}, name)
}

// Caller names who is at the other end of the desk's socket.
func Caller(r *http.Request) string { return caller(r.Context()) }

func caller(ctx context.Context) string {
	s, _ := ctx.Value(callerKey{}).(string)
	return s
}

// listenSocket makes the socket for its owner alone. One that a killed daemon left
// is replaced; one on which somebody answers is not.
func listenSocket(name string) (net.Listener, error) {
	if c, err := net.Dial("unix", name); err == nil {
		c.Close()
		return nil, phrase.E("hubd.running", "socket", name)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, phrase.Wrap(err, "hubd.socket", "socket", name)
	}
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", name)
	unix.Umask(old)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.socket", "socket", name)
	}
	return l, nil
}
