package gb28181

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/mans"
)

// version marks the edition of the standard that is spoken (2022).
const version = "3.0"

// request makes a request to the platform, outside of any session.
func (a *attachment) request(method sip.RequestMethod, user string) *sip.Request {
	p := a.l.p
	r := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: p.ID, Host: p.Realm})
	r.SetDestination(a.platform.String())
	r.SetTransport(strings.ToUpper(p.Transport))
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.Device, Host: p.Realm}}
	from.Params.Add("tag", a.tag)
	r.AppendHeader(&from)
	r.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: user, Host: p.Realm}})
	return r
}

// do sends and waits for the final answer.
func (a *attachment) do(ctx context.Context, r *sip.Request) (*sip.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	res, err := a.client.Do(ctx, r)
	if err == nil {
		a.l.heard()
	}
	// Over TCP the platform asks by the connection that signed in. Where that broke,
	// this request went by another, and only signing in again makes it known.
	if via := r.Via(); err == nil && a.l.p.Transport == "tcp" && r.Method != sip.REGISTER && via != nil && via.Port != int(a.port.Load()) {
		return res, errForgotten
	}
	return res, err
}

// register signs in, or out where expires is nought. It tells how long that holds.
func (a *attachment) register(ctx context.Context, expires time.Duration) (time.Duration, error) {
	p := a.l.p
	r := a.request(sip.REGISTER, p.Device)
	a.cseq++
	id := sip.CallIDHeader(a.callID)
	r.AppendHeader(&id)
	r.AppendHeader(&sip.CSeqHeader{SeqNo: a.cseq, MethodName: sip.REGISTER})
	r.AppendHeader(&sip.ContactHeader{Address: a.reach()})
	seconds := sip.ExpiresHeader(expires / time.Second)
	r.AppendHeader(&seconds)
	r.AppendHeader(sip.NewHeader("X-GB-Ver", version))
	r.AppendHeader(sip.NewHeader("User-Agent", "Tocsin"))
	res, err := a.do(ctx, r)
	// A nonce may be told to be stale once; a second refusal is one of the password.
	for try := 0; err == nil && res.StatusCode == sip.StatusUnauthorized; try++ {
		challenge, cerr := a.challenge(res)
		if cerr != nil {
			return 0, cerr
		}
		if try > 0 && (try > 1 || !strings.Contains(strings.ToLower(challenge), "stale=true")) {
			return 0, phrase.E("gb28181.wrong_password", "name", p.Name, "user", p.User)
		}
		if p.Transport == "tcp" { // the port is known since the connection is there
			if via := r.Via(); via != nil && via.Port > 0 {
				a.port.Store(int32(via.Port))
				r.ReplaceHeader(&sip.ContactHeader{Address: a.reach()})
			}
		}
		chosen := sip.NewResponse(res.StatusCode, res.Reason)
		chosen.AppendHeader(sip.NewHeader("WWW-Authenticate", challenge))
		within, cancel := context.WithTimeout(ctx, answerWithin)
		res, err = a.client.DoDigestAuth(within, r, chosen, sipgo.DigestAuth{Username: p.User, Password: p.Password})
		cancel()
		a.cseq = r.CSeq().SeqNo
	}
	if err != nil {
		return 0, phrase.Wrap(err, "gb28181.silent", "name", p.Name, "address", a.platform.String())
	}
	a.l.heard()
	switch {
	case res.StatusCode == sip.StatusForbidden || res.StatusCode == sip.StatusNotFound:
		return 0, phrase.E("gb28181.unknown_there", "name", p.Name, "device", p.Device, "code", res.StatusCode)
	case !res.IsSuccess():
		return 0, phrase.E("gb28181.refused", "name", p.Name, "code", res.StatusCode, "reason", shown(res.Reason))
	}
	a.readClock(res)
	return granted(res, expires), nil
}

// challenge picks the first that can be answered (RFC 8760 2.3 lists the best first),
// of the platform's own realm.
func (a *attachment) challenge(res *sip.Response) (string, error) {
	seen := "?"
	for _, h := range res.GetHeaders("WWW-Authenticate") {
		v := h.Value()
		if len(v) > 2048 || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), "digest ") {
			continue
		}
		algorithm := strings.ToUpper(parameter(v, "algorithm"))
		seen = algorithm
		switch algorithm {
		case "", "MD5", "SHA-256", "SHA-512-256":
		default:
			continue
		}
		if realm := parameter(v, "realm"); realm != a.l.p.Realm {
			return "", phrase.E("gb28181.realm", "name", a.l.p.Name, "realm", shown(realm), "ours", a.l.p.Realm)
		}
		return v, nil
	}
	return "", phrase.E("gb28181.algorithm", "name", a.l.p.Name, "algorithm", shown(seen))
}

// parameter finds name=value or name="value" in a challenge.
func parameter(challenge, name string) string {
	rest := challenge
	for {
		i := strings.Index(sip.ASCIIToLower(rest), name) // of the same length, whatever the bytes
		if i < 0 {
			return ""
		}
		before, after := rest[:i], strings.TrimLeft(rest[i+len(name):], " ")
		rest = rest[i+len(name):]
		if !strings.HasPrefix(after, "=") || before != "" && !strings.ContainsAny(before[len(before)-1:], " ,\t") {
			continue
		}
		after = strings.TrimLeft(after[1:], " ")
		if q, ok := strings.CutPrefix(after, `"`); ok {
			v, _, _ := strings.Cut(q, `"`)
			return v
		}
		v, _, _ := strings.Cut(after, ",")
		return strings.TrimSpace(v)
	}
}

// granted is how long the platform holds the signing-in: what it says, else what was asked.
func granted(res *sip.Response, asked time.Duration) time.Duration {
	v := ""
	if c := res.Contact(); c != nil {
		v, _ = c.Params.Get("expires")
	}
	if h := res.GetHeader("Expires"); v == "" && h != nil {
		v = h.Value()
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 || time.Duration(n)*time.Second > asked {
		return asked
	}
	return time.Duration(n) * time.Second
}

// readClock keeps how far the platform's clock is before ours; setting clocks is not
// this room's.
func (a *attachment) readClock(res *sip.Response) {
	h := res.GetHeader("Date")
	if h == nil {
		return
	}
	t, err := http.ParseTime(h.Value())
	if err != nil { // platforms write Beijing time without a zone as well
		if t, err = time.ParseInLocation("2006-01-02T15:04:05.999", h.Value(), beijing); err != nil {
			return
		}
	}
	a.l.mu.Lock()
	a.l.clock = t.Sub(a.l.d.o.Wall())
	a.l.mu.Unlock()
}

// stay says that the box lives and signs in again before the end, until that fails.
func (a *attachment) stay(ctx context.Context, held time.Duration) error {
	p := a.l.p
	now := a.l.d.o.Now
	renew := now() + held*2/3
	beat := now() + p.Keepalive
	misses := 0
	for {
		next := min(renew, beat)
		if err := a.l.d.o.Pause(ctx, max(0, next-now())); err != nil {
			return err
		}
		if now() >= renew {
			held, err := a.register(ctx, p.Expires)
			if err != nil {
				return err
			}
			renew = now() + held*2/3
		}
		if now() < beat {
			continue
		}
		beat = now() + p.Keepalive
		switch err := a.keepalive(ctx); {
		case err == nil:
			misses = 0
		case errors.Is(err, errForgotten):
			return phrase.E("gb28181.forgotten", "name", p.Name)
		default:
			if misses++; misses >= p.Misses || p.Transport == "tcp" && !errors.Is(err, context.DeadlineExceeded) {
				return phrase.Wrap(err, "gb28181.keepalive_lost", "name", p.Name, "n", misses)
			}
			a.l.tell(true, phrase.M("gb28181.keepalive_late", "n", misses))
		}
		if misses == 0 {
			a.l.tell(true, phrase.M("gb28181.signed_in"))
		}
	}
}

var errForgotten = errors.New("the platform does not know us any more")

func (a *attachment) keepalive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(answerWithin, max(a.l.p.Keepalive, time.Second)))
	defer cancel()
	code, err := a.message(ctx, mans.Element{Name: "Notify", Parts: []mans.Element{
		mans.El("CmdType", "Keepalive"), mans.El("SN", a.l.nextSN()), mans.El("DeviceID", a.l.p.Device), mans.El("Status", "OK"),
	}})
	switch {
	case err != nil:
		return err
	case code == sip.StatusUnauthorized || code == sip.StatusForbidden || code == sip.StatusNotFound:
		return errForgotten
	case code >= 300:
		return fmt.Errorf("answered with %d", code)
	}
	return nil
}

// message sends a body of MANSCDP and waits for the answer's code.
func (a *attachment) message(ctx context.Context, body mans.Element) (int, error) {
	r := a.request(sip.MESSAGE, a.l.p.ID)
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSCDP+xml"))
	r.SetBody(mans.Write(a.l.p.Charset, body))
	res, err := a.do(ctx, r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}
