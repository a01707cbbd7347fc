// Command accept takes a board over: it runs the steps of hwtest/acceptance against a board
// that is connected, and prints the sheet.
//
//	make hwtest BOARD=192.168.1.50 ACCOUNT=lin
//
// The password is asked for, or taken from TOCSIN_PASSWORD. What sounds, takes the power
// away or replaces software is done only with --loud, --cut and --release. It exits with 1 where
// a step failed, with 3 where too much was left out for a verdict.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"tocsin/hwtest/acceptance"
)

type options struct {
	Board       string        `arg:"" help:"盒子的地址 · The board's address, such as 192.168.1.50"`
	Account     string        `required:"" help:"技术员账号 · A technician's account"`
	Fingerprint string        `help:"证书指纹（SHA-256），不写则接受第一次看到的 · Of its certificate; the one that it shows without it"`
	Out         string        `default:"out/hwtest" help:"交付单写到哪个文件夹 · The folder that the sheet goes to"`
	Watch       time.Duration `default:"30s" help:"测点看多久 · How long its points are looked at"`
	Loud        bool          `help:"试响几秒：杆上没有人，邻居知道 · Let it sound for seconds: nobody is up the pole, the neighbours know"`
	Cut         bool          `help:"请你断电再上电 · Ask you to cut its power once"`
	Release     string        `type:"existingfile" help:"装上这个升级包 · Install this release"`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("accept"), kong.Description("对一块接好的板子做验收，打印交付单 · Takes a connected board over and prints the sheet"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	verdict, err := o.run(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "accept:", err)
		os.Exit(2)
	case verdict == acceptance.Refused:
		os.Exit(1)
	case verdict == acceptance.Incomplete:
		os.Exit(3)
	}
}

func (o *options) run(ctx context.Context) (acceptance.Verdict, error) {
	in := bufio.NewReader(os.Stdin)
	password, err := secret(in)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(o.Out, strings.Map(fileRune, o.Board)+"-"+time.Now().Format("20060102-150405"))
	pdf, err := os.Create(name + ".pdf")
	if err != nil {
		return "", err
	}
	defer pdf.Close()
	opts := acceptance.Opts{Address: o.Board, Fingerprint: o.Fingerprint, Account: o.Account, Password: password, Watch: o.Watch, Loud: o.Loud, Report: pdf, Armed: 2 * time.Minute,
		Say: func(r acceptance.Result) { fmt.Println(r) }}
	if o.Cut {
		opts.Power = hand{in}
	}
	if o.Release != "" {
		f, err := os.Open(o.Release)
		if err != nil {
			return "", err
		}
		defer f.Close()
		opts.Release = f
	}
	all, err := acceptance.Run(ctx, opts)
	if err != nil {
		return "", err
	}
	lines, err := os.Create(name + ".jsonl")
	if err != nil {
		return "", err
	}
	if err := errors.Join(acceptance.Lines(lines, all), lines.Close()); err != nil {
		return "", err
	}
	paper := name + ".pdf"
	if i, err := pdf.Stat(); err == nil && i.Size() == 0 {
		_ = os.Remove(paper)
		paper = ""
	}
	verdict, steps := acceptance.Judge(all)
	which := strings.Join(steps, ", ")
	switch verdict {
	case acceptance.Accepted:
		fmt.Println("\n验收通过 · accepted")
	case acceptance.Incomplete:
		fmt.Printf("\n检查项都通过，但没做 %s，还不算验收：请加 LOUD=1 CUT=1 再做一遍 · what was tried passed, but %s were left out: not accepted yet; run again with LOUD=1 CUT=1\n", which, which)
	default:
		fmt.Printf("\n验收没有通过：%s。改好后重跑同一命令 · not accepted: %s. Mend and run the same command again\n", which, which)
	}
	if paper != "" {
		fmt.Printf("交付单 · sheet: %s\n", paper)
	}
	fmt.Printf("记录 · record: %s.jsonl\n", name)
	return verdict, nil
}

func secret(in *bufio.Reader) (string, error) {
	if p := os.Getenv("TOCSIN_PASSWORD"); p != "" {
		return p, nil
	}
	fmt.Fprint(os.Stderr, "密码 · password: ")
	fd := int(os.Stdin.Fd())
	if old, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		quiet := *old
		quiet.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
			return "", err
		}
		defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old); fmt.Fprintln(os.Stderr) }()
	}
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.New("no password: set TOCSIN_PASSWORD, or give it on standard input")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// hand is a person at the power switch.
type hand struct{ in *bufio.Reader }

func (h hand) Off(ctx context.Context) error {
	return h.ask("请断开盒子的电源（电池也要断），灯全灭后按回车 · Cut its power, the battery's too; press Enter when its lights are out: ")
}

func (h hand) On(ctx context.Context) error {
	return h.ask("请上电，同时按回车（从这一刻计时） · Switch it on and press Enter at the same moment; time counts from now: ")
}

func (h hand) ask(what string) error {
	fmt.Print(what)
	_, err := h.in.ReadString('\n')
	return err
}

func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
		return r
	}
	return '-'
}
