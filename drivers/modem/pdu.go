package modem

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/tpdu"
)

const (
	// mostBase64 is what one message of 160 characters holds as base64, mostData what
	// one of 140 octets does.
	mostBase64 = 120
	mostData   = 140
	// leastBase64 is how long a text must be to be taken for bytes: longer than a
	// word that happens to be base64, and no longer than what the shortest frame of
	// the box makes.
	leastBase64 = 16
	longestPDU  = 2 * (1 + 12 + 164)
	mostPending = 16
	pendingFor  = 10 * time.Minute
)

var phone = regexp.MustCompile(`^\+?[0-9]{3,20}$`)

// parts writes a message's SMS-SUBMITs, each in hex with an empty service centre
// before it, and their lengths without that.
func parts(to string, b []byte, data bool, ref tpdu.Counter) (pdus []string, lengths []int, err error) {
	options := []sms.EncoderOption{sms.AsSubmit, sms.To(to)}
	if data {
		options = append(options, sms.As8Bit)
	}
	e := sms.NewEncoder(options...)
	e.ConcatRef = ref
	ts, err := e.Encode(b)
	if err != nil {
		return nil, nil, err
	}
	for i := range ts {
		p, err := ts[i].MarshalBinary()
		if err != nil {
			return nil, nil, err
		}
		pdus = append(pdus, "00"+strings.ToUpper(hex.EncodeToString(p)))
		lengths = append(lengths, len(p))
	}
	return pdus, lengths, nil
}

// read reads a PDU as +CMGL gives it: the service centre, then SMS-DELIVER.
func read(s string) (t *tpdu.TPDU, err error) {
	defer func() {
		if r := recover(); r != nil { // what comes over the air must not end the box
			t, err = nil, fmt.Errorf("the message cannot be read: %v", r)
		}
	}()
	if len(s) > longestPDU {
		return nil, fmt.Errorf("%d digits", len(s))
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, err
	}
	if len(b) < 2 || int(b[0])+1 >= len(b) {
		return nil, fmt.Errorf("%d octets", len(b))
	}
	t, err = sms.Unmarshal(b[1+int(b[0]):])
	if err != nil {
		return nil, err
	}
	if t.SmsType() != tpdu.SmsDeliver {
		return nil, fmt.Errorf("it is no message that came but of type %v", t.SmsType())
	}
	return t, nil
}

// content is what a message says.
type content struct {
	from  string
	bytes []byte
	text  string
	sent  time.Time
}

// join reads the parts of one message.
func join(ts []*tpdu.TPDU) (c content, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = content{}, fmt.Errorf("the message cannot be read: %v", r)
		}
	}()
	alphabet, err := ts[0].Alphabet()
	if err != nil {
		return c, err
	}
	c.from, c.sent = ts[0].OA.Number(), ts[0].SCTS.Time
	b, err := sms.Decode(ts)
	if err != nil {
		return c, err
	}
	switch {
	case len(b) == 0:
		return c, fmt.Errorf("it is empty")
	case alphabet == tpdu.Alpha8Bit:
		c.bytes = b
	case utf8.Valid(b):
		c.text = string(b)
		c.bytes = unbase64(c.text)
	default:
		return c, fmt.Errorf("its text is no text")
	}
	return c, nil
}

// unbase64 gives the bytes of a text that is nothing but base64.
func unbase64(s string) []byte {
	s = strings.TrimSpace(s)
	if len(s) < leastBase64 {
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// pending are the messages of which parts are missing.
type pending map[string]*partly

type partly struct {
	parts []*tpdu.TPDU
	have  int
	since time.Time
}

// add takes a part and gives the whole message, once it is. dropped counts
// messages that were given up for it.
func (p pending) add(t *tpdu.TPDU, now time.Time) (whole []*tpdu.TPDU, dropped int) {
	dropped = p.expire(now)
	of, part, ref, ok := t.ConcatInfo()
	if !ok || of < 2 {
		return []*tpdu.TPDU{t}, dropped
	}
	if part < 1 || part > of || of > 255 {
		return nil, dropped + 1
	}
	key := fmt.Sprintf("%s/%d/%d", t.OA.Number(), ref, of)
	m := p[key]
	if m == nil {
		if len(p) >= mostPending {
			oldest := ""
			for k, x := range p {
				if oldest == "" || x.since.Before(p[oldest].since) {
					oldest = k
				}
			}
			delete(p, oldest)
			dropped++
		}
		m = &partly{parts: make([]*tpdu.TPDU, of), since: now}
		p[key] = m
	}
	if m.parts[part-1] == nil {
		m.parts[part-1] = t
		m.have++
	}
	if m.have < of {
		return nil, dropped
	}
	delete(p, key)
	return m.parts, dropped
}

// expire gives up what waited too long.
func (p pending) expire(now time.Time) (dropped int) {
	for k, m := range p {
		if now.Sub(m.since) > pendingFor {
			delete(p, k)
			dropped++
		}
	}
	return dropped
}
