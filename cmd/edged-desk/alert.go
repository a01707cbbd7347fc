package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/station"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// AlertCmd works with warnings from outside.
type AlertCmd struct {
	Check AlertCheckCmd `cmd:"" help:"核验一份预警：格式、真伪、来源、是否有效 · Say whether an alert is well-formed, genuine, trusted and in force"`
	Show  AlertShowCmd  `cmd:"" help:"读出一份预警的内容 · Show what an alert says"`
	Send  AlertSendCmd  `cmd:"" help:"交给运行中的盒子 · Hand an alert to the running box"`
	Sign  AlertSignCmd  `cmd:"" help:"给一份预警签名 · Sign an alert"`
	Key   AlertKeyCmd   `cmd:"" help:"生成签名密钥 · Make a signing key"`
	List  AlertListCmd  `cmd:"" help:"盒子收到的预警 · The alerts that the box knows"`
}

// exitMalformed is check's exit code for what is no alert; 1 is for a well-formed
// one that fails another question.
const exitMalformed = 2

// readMessage reads a file, or standard input for "-", within the API's bound.
func readMessage(name string) ([]byte, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, phrase.Wrap(err, "edged.file", "file", name, "detail", err)
		}
		defer f.Close()
	}
	b, err := io.ReadAll(io.LimitReader(f, api.LargestMessage+1))
	if err != nil {
		return nil, phrase.Wrap(err, "edged.file", "file", name, "detail", err)
	}
	if len(b) > api.LargestMessage {
		return nil, phrase.E("edged.file_large", "file", name, "most", api.LargestMessage)
	}
	return b, nil
}

// AlertCheckCmd answers the four questions of one file.
type AlertCheckCmd struct {
	File string    `arg:"" help:"CAP 文件，- 为标准输入 · the CAP file, - for standard input"`
	Site string    `short:"c" type:"path" help:"按这个站点文件核验，不必有盒子在运行 · judge by this site's file, without a running box"`
	JSON bool      `name:"json" help:"以 JSON 输出 · write JSON"`
	At   time.Time `help:"按这个时刻核验（RFC 3339），默认现在；只与 -c 一起用 · judge at this time, by default now; only with -c" placeholder:"TIME"`
}

// Run exits with 0 where all four answers are yes, 1 where the alert is well-formed
// and some other answer is no, 2 where it is malformed.
func (c *AlertCheckCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	var v api.Verdict
	if c.Site != "" {
		bp, problems := station.Load(c.Site)
		if config.Fatal(problems) {
			return phrase.E("edged.site_bad", "file", c.Site, "problem", phrase.Text{ZH: problems[0].In(phrase.ZH), EN: problems[0].In(phrase.EN)})
		}
		at := c.At
		if at.IsZero() {
			at = time.Now()
		}
		v = bp.CheckAlert(b, at)
	} else if err := g.post("/alerts/check", capType, b, &v); err != nil {
		return err
	}
	return g.answer(v, c.JSON)
}

// answer prints a verdict and gives its exit code.
func (g *Globals) answer(v api.Verdict, asJSON bool) error {
	print := g.printVerdict
	if asJSON {
		print = func(v api.Verdict) error { return g.printLine(v) }
	}
	if err := print(v); err != nil {
		return err
	}
	return verdictCode(v)
}

func verdictCode(v api.Verdict) error {
	switch {
	case !v.WellFormed:
		return exitCode(exitMalformed)
	case v.Genuine && v.Trusted && v.InForce:
		return nil
	}
	return exitCode(1)
}

const (
	capType  = "application/cap+xml"
	dsseType = "application/vnd.dsse.envelope.v1+json"
)

// post sends bytes as they are and reads one answer.
func (g *Globals) post(path, media string, b []byte, v any) error {
	ctx, cancel := g.context()
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edged/api/v1"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", media)
	resp, err := g.client().Do(r)
	if err != nil {
		return g.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return refusal(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(v); err != nil {
		return &clientError{phrase.Wrap(err, "serve.bad_answer", "status", resp.StatusCode), exitRefused}
	}
	return nil
}

// printVerdict writes the four answers, what is beside them, and each reason in a
// sentence with its place.
func (g *Globals) printVerdict(v api.Verdict) error {
	l := g.lang()
	yes := func(ok bool) string {
		if ok {
			return phrase.M("edged.yes").In(l)
		}
		return phrase.M("edged.no").In(l)
	}
	t := table{}
	for _, q := range []struct {
		asked phrase.Message
		ok    bool
	}{{phrase.M("edged.q_form"), v.WellFormed}, {phrase.M("edged.q_genuine"), v.Genuine}, {phrase.M("edged.q_trusted"), v.Trusted}, {phrase.M("edged.q_force"), v.InForce}} {
		t = append(t, []string{q.asked.In(l), yes(q.ok)})
	}
	if v.WellFormed {
		t = append(t, []string{phrase.M("edged.q_status").In(l), v.Status}, []string{phrase.M("edged.q_area").In(l), yes(v.Concerns) + "  " + g.text(v.Area)},
			[]string{phrase.M("edged.q_issuer").In(l), strings.TrimSpace(v.Issuer + "  " + v.Key)})
	}
	if v.Action.ZH != "" {
		t = append(t, []string{phrase.M("edged.q_action").In(l), g.text(v.Action)})
	}
	if v.Outcome.ZH != "" {
		t = append(t, []string{phrase.M("edged.q_outcome").In(l), g.text(v.Outcome)})
	}
	if err := t.write(g.out(), -1); err != nil {
		return err
	}
	return g.printReasons(v.Reasons)
}

// printReasons writes each in a sentence with its place.
func (g *Globals) printReasons(all []api.Reason) error {
	for _, r := range all {
		mark := "·"
		if r.Fatal {
			mark = "✗"
		}
		line := mark + " " + g.text(r.Text)
		if r.Path != "" {
			line += "  [" + api.Clean(r.Path, 200) + "]"
		}
		if _, err := fmt.Fprintln(g.out(), line); err != nil {
			return err
		}
	}
	return nil
}

// AlertSendCmd hands a file to the running box.
type AlertSendCmd struct {
	File string `arg:"" help:"CAP 文件，- 为标准输入 · the CAP file, - for standard input"`
	JSON bool   `name:"json" help:"以 JSON 输出 · write JSON"`
}

// Run prints the box's verdict; the exit codes are those of check.
func (c *AlertSendCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	var v api.Verdict
	if err := g.post("/alerts", capType, b, &v); err != nil {
		return err
	}
	return g.answer(v, c.JSON)
}

// AlertShowCmd shows what a file says. It vouches for nothing.
type AlertShowCmd struct {
	File string `arg:"" help:"CAP 文件，- 为标准输入 · the CAP file, - for standard input"`
	JSON bool   `name:"json" help:"以 JSON 输出 · write JSON"`
}

// Run prints the fields that a person needs, in the file's own languages.
func (c *AlertShowCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	a, reasons, err := station.ShowAlert(b)
	if err != nil {
		return err
	}
	bad := slices.ContainsFunc(reasons, func(r api.Reason) bool { return r.Fatal })
	if a == nil {
		g.printReasons(reasons)
		return exitCode(exitMalformed)
	}
	if c.JSON {
		return g.printLine(a)
	}
	l := g.lang()
	row := func(what phrase.Message, v string) []string { return []string{what.In(l), api.Clean(v, 4000)} }
	t := table{row(phrase.M("edged.a_identifier"), a.Identifier), row(phrase.M("edged.a_sender"), a.Sender), row(phrase.M("edged.a_sent"), local(a.Sent).Format("2006-01-02 15:04:05 -07:00")),
		row(phrase.M("edged.a_type"), a.Status+"  "+a.MsgType)}
	for _, r := range a.References {
		t = append(t, row(phrase.M("edged.a_reference"), r.Sender+","+r.Identifier+","+r.Sent.Format(time.RFC3339)))
	}
	for i := range a.Infos {
		x := &a.Infos[i]
		t = append(t, []string{"", ""}, row(phrase.M("edged.a_language"), x.Language), row(phrase.M("edged.a_event"), strings.TrimSpace(x.Event+"  "+x.Colour)),
			row(phrase.M("edged.a_weight"), x.Urgency+"  "+x.Severity+"  "+x.Certainty))
		for _, f := range []struct {
			what phrase.Message
			v    string
		}{{phrase.M("edged.a_from"), x.SenderName}, {phrase.M("edged.a_headline"), x.Headline}, {phrase.M("edged.a_description"), x.Description}, {phrase.M("edged.a_instruction"), x.Instruction}} {
			if f.v != "" {
				t = append(t, row(f.what, f.v))
			}
		}
		if !x.Expires.IsZero() {
			t = append(t, row(phrase.M("edged.a_expires"), local(x.Expires).Format("2006-01-02 15:04:05 -07:00")))
		}
		for _, area := range x.Areas {
			t = append(t, row(phrase.M("edged.a_area"), area.Desc))
		}
	}
	if err := t.write(g.out(), -1); err != nil {
		return err
	}
	if err := g.printReasons(reasons); err != nil {
		return err
	}
	g.say(phrase.M("edged.show_only"))
	if bad {
		return exitCode(exitMalformed)
	}
	return nil
}

// AlertSignCmd signs a file for tests, drills and a county's own desk.
type AlertSignCmd struct {
	File string `arg:"" help:"CAP 文件，- 为标准输入 · the CAP file, - for standard input"`
	Key  string `required:"" type:"path" help:"私钥（PEM，PKCS#8） · the private key, PEM"`
	Cert string `type:"path" help:"一同发出的证书（PEM） · the certificate that is sent along, PEM"`
	C14N string `name:"c14n" enum:"exclusive,inclusive,inclusive11" default:"exclusive" help:"规范化方式 · canonicalisation"`
	Out  string `short:"o" type:"path" help:"写到文件，默认标准输出 · write to a file, by default standard output"`
}

// Run writes the signed alert.
func (c *AlertSignCmd) Run(g *Globals) error {
	b, err := readMessage(c.File)
	if err != nil {
		return err
	}
	key, err := loadKey(c.Key)
	if err != nil {
		return err
	}
	var cert *x509.Certificate
	if c.Cert != "" {
		if cert, err = loadCertificate(c.Cert); err != nil {
			return err
		}
	}
	signed, err := xmldsig.Sign(b, key, cert, xmldsig.SignOptions{C14N: map[string]string{
		"exclusive": xmldsig.ExclusiveC14N, "inclusive": xmldsig.C14N10, "inclusive11": xmldsig.C14N11}[c.C14N]})
	if err != nil {
		return err
	}
	return g.writeTo(c.Out, signed, 0o644)
}

func loadKey(file string) (*trust.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, phrase.Wrap(err, "edged.file", "file", file, "detail", err)
	}
	return trust.LoadSigner(b)
}

func loadCertificate(file string) (*x509.Certificate, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, phrase.Wrap(err, "edged.file", "file", file, "detail", err)
	}
	c, err := trust.LoadCertificate(b)
	if err != nil {
		return nil, phrase.E("edged.no_certificate", "file", file)
	}
	return c, nil
}

// writeTo writes a whole file or nothing; "" is standard output.
func (g *Globals) writeTo(file string, b []byte, mode os.FileMode) error {
	if file == "" {
		_, err := g.out().Write(b)
		return err
	}
	if err := renameio.WriteFile(file, b, mode); err != nil {
		return phrase.Wrap(err, "edged.file", "file", file, "detail", err)
	}
	return nil
}

// AlertKeyCmd makes a key.
type AlertKeyCmd struct {
	Kind string `enum:"p-256,p-384,rsa,ed25519,sm2" default:"p-256" help:"种类 · the kind"`
	Out  string `short:"o" required:"" type:"path" help:"私钥文件；公钥写到同名 .pub · the private key's file; the public key goes to the same name with .pub"`
}

// Run writes both files and says the key's id. It never replaces a key.
func (c *AlertKeyCmd) Run(g *Globals) error {
	if _, err := os.Lstat(c.Out); err == nil {
		return phrase.E("edged.key_exists", "file", c.Out)
	}
	k, err := trust.NewSigner(trust.Kind(c.Kind))
	if err != nil {
		return err
	}
	private, err := k.PEM()
	if err != nil {
		return err
	}
	public, err := trust.PublicPEM(k.Public())
	if err != nil {
		return err
	}
	id, err := trust.IDOf(k.Public())
	if err != nil {
		return err
	}
	if err := g.writeTo(c.Out, private, 0o600); err != nil {
		return err
	}
	if err := g.writeTo(c.Out+".pub", public, 0o644); err != nil {
		return err
	}
	g.say(phrase.M("edged.key_made", "file", c.Out, "public", c.Out+".pub", "id", string(id)))
	return nil
}

// AlertListCmd lists what the running box knows.
type AlertListCmd struct {
	JSON bool `name:"json" help:"以 JSON 输出 · write JSON"`
}

// Run prints one line an alert.
func (c *AlertListCmd) Run(g *Globals) error {
	var all []api.Alert
	if err := g.get("/alerts", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return g.printLine(all)
	}
	if len(all) == 0 {
		g.say(phrase.M("edged.no_alerts"))
		return nil
	}
	l := g.lang()
	t := table{{phrase.M("edged.a_sent").In(l), phrase.M("edged.a_state").In(l), phrase.M("serve.col_level").In(l), phrase.M("edged.a_event").In(l), phrase.M("edged.a_from").In(l), phrase.M("edged.a_headline").In(l), phrase.M("edged.a_ways").In(l)}}
	for _, a := range all {
		from := g.text(a.SenderName)
		if from == "" {
			from = a.Sender
		}
		t = append(t, []string{local(a.Sent).Format("01-02 15:04:05"), g.text(a.StateText), g.text(a.LevelText), api.Clean(g.text(a.Event), 40), api.Clean(from, 40),
			api.Clean(g.text(a.Headline), 60), strings.Join(a.Ways, " ")})
	}
	return t.write(g.out(), -1)
}
