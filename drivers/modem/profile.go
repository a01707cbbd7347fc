package modem

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Profile is how a maker's modem makes calls and says what becomes of them: a file of
// configs/terminals. Messages need none.
type Profile struct {
	Version int
	Name    struct{ ZH, EN string }
	Source  string
	Line    struct {
		Baud   int
		Format string
	}
	// Satellite: to transmit, the registered card and the approval must be entered.
	Satellite bool
	// Setup is asked once after the port was opened. A refusal is left.
	Setup []string
	Call  *CallPlan
	Proof []Proof
}

// CallPlan is how calls are made. Lines are given by their beginnings.
type CallPlan struct {
	// Dial has {number} in it. OK says what its OK means: dialled (the default), or
	// answered, as with modems that give it only then.
	Dial, OK string
	HangUp   string `yaml:"hang_up"`
	// List asks for the calls that there are (+CLCC); without it the lines alone count.
	// Every is how often.
	List  string
	Every string
	// What the modem says by itself.
	Ringing, Answered, Ended, Busy []string
	NoAnswer                       []string `yaml:"no_answer"`
	// Keys: what lets the modem tell pressed keys, the line with which it does, and
	// whether the key stands there as it is (char) or by its code (ascii). Without a
	// line the keys are listened for in the sound that comes back.
	Keys struct{ On, Off, Line, As string }
	// Audio is what lets sound run over the second port; without it there is none.
	// Before says that this is asked before dialling.
	Audio *struct {
		On, Off []string
		Baud    int
		Before  bool
	}

	every time.Duration
}

// Proof is a published line and what it means: ringing, answered, ended, busy,
// no-answer, key, or nothing.
type Proof struct{ Line, Means, Key string }

const longestProfile = 64 << 10

var (
	command = regexp.MustCompile(`^AT[ -~]{0,60}$`)
	keysOf  = "0123456789*#ABCD"
)

// ParseProfile reads a profile and holds it to its own proof.
func ParseProfile(b []byte) (*Profile, error) {
	if len(b) > longestProfile {
		return nil, fmt.Errorf("the profile has more than %d bytes", longestProfile)
	}
	var p Profile
	if err := yaml.UnmarshalWithOptions(b, &p, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s", yaml.FormatError(err, false, false))
	}
	if p.Version != 1 {
		return nil, fmt.Errorf("version %d: this build reads version 1", p.Version)
	}
	if p.Name.ZH == "" || p.Name.EN == "" || p.Source == "" {
		return nil, fmt.Errorf("a profile needs a name in zh and en, and a source")
	}
	if b := p.Line.Baud; b != 0 && (b < 300 || b > 4_000_000) {
		return nil, fmt.Errorf("line: %d bits a second", b)
	}
	if len(p.Setup) > 16 {
		return nil, fmt.Errorf("setup: more than 16 commands")
	}
	for _, c := range p.Setup {
		if !command.MatchString(c) {
			return nil, fmt.Errorf("setup: %.60q is no command", c)
		}
	}
	if p.Call == nil {
		return &p, nil
	}
	if err := p.Call.check(); err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	for i, x := range p.Proof {
		means, key := p.Call.meaning(x.Line)
		if means != x.Means || (means == meansKey) != (x.Key != "") || x.Key != "" && string(key) != x.Key {
			return nil, fmt.Errorf("proof %d: %.60q means %q %q, not %q %q", i+1, x.Line, means, string(key), x.Means, x.Key)
		}
	}
	return &p, nil
}

func (c *CallPlan) check() error {
	if strings.Count(c.Dial, "{number}") != 1 || !command.MatchString(c.Dial) {
		return fmt.Errorf("dial: %.60q is no command with {number} in it", c.Dial)
	}
	if !slices.Contains([]string{"", "dialled", "answered"}, c.OK) {
		return fmt.Errorf("ok: %.20q is neither dialled nor answered", c.OK)
	}
	if !command.MatchString(c.HangUp) {
		return fmt.Errorf("hang_up: %.60q is no command", c.HangUp)
	}
	all := []string{c.List, c.Keys.On, c.Keys.Off}
	if c.Audio != nil {
		all = slices.Concat(all, c.Audio.On, c.Audio.Off)
		if b := c.Audio.Baud; b != 0 && (b < 9600 || b > 4_000_000) {
			return fmt.Errorf("audio: %d bits a second", b)
		}
	}
	for _, s := range all {
		if s != "" && !command.MatchString(s) {
			return fmt.Errorf("%.60q is no command", s)
		}
	}
	for _, l := range slices.Concat(c.Ringing, c.Answered, c.Ended, c.Busy, c.NoAnswer) {
		if len(l) < 2 || len(l) > 60 {
			return fmt.Errorf("%.60q is no beginning of a line", l)
		}
	}
	if !slices.Contains([]string{"", "char", "ascii"}, c.Keys.As) || c.Keys.Line != "" && len(c.Keys.Line) < 2 {
		return fmt.Errorf("keys: as is char or ascii, and line a beginning")
	}
	c.every = time.Second
	if c.Every != "" {
		d, err := time.ParseDuration(c.Every)
		if err != nil || d < 200*time.Millisecond || d > 10*time.Second {
			return fmt.Errorf("every: %.20q is not 200ms to 10s", c.Every)
		}
		c.every = d
	}
	return nil
}

// What a line may mean.
const (
	meansNothing  = "nothing"
	meansRinging  = "ringing"
	meansAnswered = "answered"
	meansEnded    = "ended"
	meansBusy     = "busy"
	meansNoAnswer = "no-answer"
	meansKey      = "key"
)

// meaning gives what a line says of a call, and the key.
func (c *CallPlan) meaning(line string) (string, byte) {
	begins := func(all []string) bool {
		return slices.ContainsFunc(all, func(p string) bool { return strings.HasPrefix(line, p) })
	}
	if c.Keys.Line != "" && strings.HasPrefix(line, c.Keys.Line) {
		if k := c.key(strings.Trim(strings.TrimPrefix(line, c.Keys.Line), " \"")); k != 0 {
			return meansKey, k
		}
		return meansNothing, 0
	}
	switch {
	case begins(c.Busy):
		return meansBusy, 0
	case begins(c.NoAnswer):
		return meansNoAnswer, 0
	case begins(c.Ended):
		return meansEnded, 0
	case begins(c.Answered):
		return meansAnswered, 0
	case begins(c.Ringing):
		return meansRinging, 0
	}
	return meansNothing, 0
}

func (c *CallPlan) key(v string) byte {
	if c.Keys.As == "ascii" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 127 {
			return 0
		}
		v = string(rune(n))
	}
	if len(v) != 1 || !strings.Contains(keysOf, strings.ToUpper(v)) {
		return 0
	}
	return strings.ToUpper(v)[0]
}

// unsolicited are the beginnings of the lines that no command answers with.
func (c *CallPlan) unsolicited() (all []string) {
	all = slices.Concat(c.Ringing, c.Answered, c.Ended, c.Busy, c.NoAnswer)
	if c.Keys.Line != "" {
		all = append(all, c.Keys.Line)
	}
	return all
}

// What +CLCC says of a call (3GPP TS 27.007, section 7.18); released is SIMCom's.
const (
	listActive = iota
	listHeld
	listDialling
	listAlerting
	listIncoming
	listWaiting
	listReleased
)

// ours gives the state of the voice call that was made from here, among all that
// +CLCC lists.
func ours(lines []string) (state int, ok bool) {
	for _, l := range lines {
		rest, is := strings.CutPrefix(l, "+CLCC:")
		if !is {
			continue
		}
		f := strings.SplitN(rest, ",", 6)
		if len(f) < 5 || strings.TrimSpace(f[1]) != "0" || strings.TrimSpace(f[3]) != "0" {
			continue // one that came, or one for data
		}
		n, err := strconv.Atoi(strings.TrimSpace(f[2]))
		if err == nil && n >= listActive && n < listReleased {
			return n, true
		}
	}
	return 0, false
}
