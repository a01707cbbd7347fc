package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tocsin/images/loader"
)

// Board is an emulated board.
type Board struct {
	// Disk is its card, an image file that it writes.
	Disk string
	// Dir is where its console, sockets and recordings go.
	Dir string
	// Lines are RS-485 lines by USB: addresses of TCP listeners that play the instruments.
	Lines []string
	// Sound records what its USB sound card plays into Dir/sound.wav.
	Sound bool
	// Stick is the image of a USB stick, "" for none.
	Stick string
	// Memory is in MiB; 512 where it is 0.
	Memory int
	// Wary: a cut of its power loses what it wrote and did not flush: see wary.go.
	Wary bool
	// More are arguments of qemu's that a test needs besides.
	More []string

	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{}
	on      time.Time
	port    int
	power   int // how often it was switched on
	console *os.File
	lost    int64 // by the last cut, of a wary board
	wrong   error // with what that cut left
}

// uboot is the boot loader that Debian has for this board. Its environment is in the second
// flash chip, at the chip's begin (CONFIG_ENV_ADDR, CONFIG_ENV_SIZE).
const (
	uboot     = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
	flashSize = 64 << 20
	envSize   = 0x40000
)

// makeFlash sets the board's boot loader up as boards are, where it is not yet.
func makeFlash(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	program, err := os.ReadFile(uboot)
	if err != nil {
		return err
	}
	env, err := loader.Unattended(program, envSize)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, env, 0o644); err != nil {
		return err
	}
	return os.Truncate(path, flashSize)
}

// Needs says what is missing for an emulated board, "" for nothing.
func Needs() string {
	for _, p := range []string{"qemu-system-aarch64", "mmdebstrap", "mkimage", "mcopy", "mksquashfs", "sfdisk"} {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is missing: make image-test installs it"
		}
	}
	if _, err := os.Stat(uboot); err != nil {
		return "u-boot-qemu is missing: make image-test installs it"
	}
	return ""
}

// On switches the board on.
func (b *Board) On() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		return errors.New("it is on")
	}
	if b.wrong != nil {
		return fmt.Errorf("what the last cut left cannot be made: %w", b.wrong)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	b.power++
	out, err := os.Create(filepath.Join(b.Dir, fmt.Sprintf("console-%d.log", b.power)))
	if err != nil {
		return err
	}
	b.console = out
	mem := b.Memory
	if mem == 0 {
		mem = 512
	}
	flash := filepath.Join(b.Dir, "flash.img")
	if err := makeFlash(flash); err != nil {
		return err
	}
	args := []string{"-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", fmt.Sprint(mem), "-display", "none", "-nodefaults", "-serial", "stdio",
		"-bios", uboot, "-drive", "if=pflash,unit=1,format=raw,file=" + flash,
		"-device", "virtio-blk-device,drive=d", "-netdev", fmt.Sprintf("user,id=n,hostfwd=tcp:127.0.0.1:%d-:80", b.port), "-device", "virtio-net-pci,netdev=n,romfile=",
		"-device", "i6300esb", "-qmp", "unix:" + b.qmp() + ",server=on,wait=off"}
	card, err := b.card()
	if err != nil {
		return err
	}
	args = append(args, card...)
	if len(b.Lines) > 0 || b.Sound || b.Stick != "" {
		args = append(args, "-device", "qemu-xhci,id=xhci")
	}
	for n, addr := range b.Lines {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		args = append(args, "-chardev", fmt.Sprintf("socket,id=rs%d,host=%s,port=%s,reconnect=1", n, host, port), "-device", fmt.Sprintf("usb-serial,chardev=rs%d,bus=xhci.0", n))
	}
	if b.Sound {
		args = append(args, "-audiodev", fmt.Sprintf("wav,id=a,path=%s", filepath.Join(b.Dir, "sound.wav")), "-device", "usb-audio,audiodev=a,bus=xhci.0")
	}
	if b.Stick != "" {
		args = append(args, "-drive", "if=none,file="+b.Stick+",format=raw,id=stick,readonly=on", "-device", "usb-storage,drive=stick,bus=xhci.0")
	}
	c := exec.Command("qemu-system-aarch64", append(args, b.More...)...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	b.cmd, b.done, b.on = c, make(chan struct{}), time.Now()
	go func(done chan struct{}) { _ = c.Wait(); close(done) }(b.done)
	return nil
}

func (b *Board) qmp() string { return filepath.Join(b.Dir, "qmp.sock") }

// Cut takes its power away, at once.
func (b *Board) Cut() {
	b.mu.Lock()
	c, done := b.cmd, b.done
	b.cmd = nil
	b.mu.Unlock()
	if c == nil {
		return
	}
	_ = c.Process.Kill()
	<-done
	b.console.Close()
	b.forget()
}

// SinceOn is how long its power is on.
func (b *Board) SinceOn() time.Duration { return time.Since(b.on) }

// Console is what it said since it was last switched on.
func (b *Board) Console() string {
	t, err := os.ReadFile(filepath.Join(b.Dir, fmt.Sprintf("console-%d.log", b.power)))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(t), "\r", "")
}

// Says waits until the console has a word for the nth time since the power came.
func (b *Board) Says(word string, n int, most time.Duration) error {
	end := time.Now().Add(most)
	for {
		if strings.Count(b.Console(), word) >= n {
			return nil
		}
		select {
		case <-b.done:
			return fmt.Errorf("the emulator ended; the console's last: %s", b.last())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%q was not said %d times in %s; the console's last: %s", word, n, most, b.last())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *Board) last() string {
	t := b.Console()
	if len(t) > 1500 {
		t = "… " + t[len(t)-1500:]
	}
	return t
}

// Armed is what init says when edged stands watch.
const Armed = "init: armed "

// Address is where its page is, as this machine reaches it.
func (b *Board) Address() string { return fmt.Sprintf("https://127.0.0.1:%d", b.port) }

// Client speaks to its page: its certificate is its own authority's.
func Client(most time.Duration) *http.Client {
	return &http.Client{Timeout: most, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Get asks for a path of its page until it answers.
func (b *Board) Get(path string, most time.Duration) ([]byte, error) {
	c := Client(5 * time.Second)
	var last error
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		r, err := c.Get(b.Address() + path)
		if err != nil {
			last = err
			continue
		}
		t, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		r.Body.Close()
		if err == nil && r.StatusCode == http.StatusOK {
			return t, nil
		}
		last = fmt.Errorf("%s: %v %.200s", r.Status, err, t)
	}
	return nil, last
}

// Button presses and releases the board's power button, as the emulator can: for a tenth
// of a second.
func (b *Board) Button() error { return b.monitor("system_powerdown") }

// monitor gives the emulator a command (QEMU Machine Protocol).
func (b *Board) monitor(command string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", b.qmp())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	if _, err := r.ReadString('\n'); err != nil { // its greeting
		return err
	}
	for _, cmd := range []string{"qmp_capabilities", command} {
		t, err := json.Marshal(map[string]string{"execute": cmd})
		if err != nil {
			return err
		}
		if _, err := c.Write(append(t, '\n')); err != nil {
			return err
		}
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return err
			}
			if bytes.Contains(line, []byte(`"error"`)) {
				return fmt.Errorf("%s: %s", cmd, line)
			}
			if bytes.Contains(line, []byte(`"return"`)) {
				break
			}
		}
	}
	return nil
}

// CopyDisk copies an image with its holes.
func CopyDisk(to, from string) error {
	out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
