package bench

import (
	"bufio"
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
	// Lines are RS-485 lines by USB (FT232): addresses of TCP listeners that play the
	// instruments. Their adapters stay while such a listener is away, and go by Pull.
	Lines []string
	// Wire is an RS-485 line at the board's own serial port (16550A): the address of a TCP
	// listener that plays the instruments; "" for none.
	Wire string
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
	client  *http.Client
	lost    int64 // by the last cut, of a wary board
	wrong   error // with what that cut left
	events  []string
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
	// Without ACPI the emulator has the GPIO lines and the button of a board, with firmware too.
	args := []string{"-M", "virt,acpi=off", "-cpu", "cortex-a53", "-smp", "2", "-m", fmt.Sprint(mem), "-display", "none", "-nodefaults", "-serial", "stdio",
		"-bios", uboot, "-drive", "if=pflash,unit=1,format=raw,file=" + flash,
		"-device", "virtio-blk-device,drive=d,id=disk", "-netdev", fmt.Sprintf("user,id=n,hostfwd=tcp:127.0.0.1:%d-:80", b.port), "-device", "virtio-net-pci,netdev=n,romfile=",
		"-device", "i6300esb", "-device", "virtio-balloon-pci,id=balloon", "-qmp", "unix:" + b.qmp() + ",server=on,wait=off", "-qmp", "unix:" + b.eventSocket() + ",server=on,wait=off"}
	card, err := b.card()
	if err != nil {
		return err
	}
	args = append(args, card...)
	if len(b.Lines) > 0 || b.Sound || b.Stick != "" {
		args = append(args, "-device", "qemu-xhci,id=xhci,addr="+usbHost)
	}
	for n, addr := range b.Lines {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		args = append(args, "-chardev", fmt.Sprintf("socket,id=rs%d,host=%s,port=%s,reconnect=1", n, host, port), "-device", fmt.Sprintf("usb-serial,chardev=rs%d,bus=xhci.0,port=%d,id=%s,always-plugged=on", n, n+1, adapter(n)))
	}
	if b.Wire != "" {
		host, port, err := net.SplitHostPort(b.Wire)
		if err != nil {
			return err
		}
		args = append(args, "-chardev", fmt.Sprintf("socket,id=wire,host=%s,port=%s,reconnect=1", host, port), "-device", "pci-serial,chardev=wire")
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
	b.cmd, b.done, b.on, b.events = c, make(chan struct{}), time.Now(), nil
	go func(done chan struct{}) { _ = c.Wait(); close(done) }(b.done)
	go b.listen(b.eventSocket(), b.done)
	return nil
}

func (b *Board) qmp() string         { return filepath.Join(b.Dir, "qmp.sock") }
func (b *Board) eventSocket() string { return filepath.Join(b.Dir, "events.sock") }

func adapter(n int) string { return fmt.Sprintf("adapter%d", n) }

// usbHost is where on its bus the board's USB has its place.
const usbHost = "0x10"

// Port is the path of the port by USB of one of Lines, by its socket.
func Port(n int) string {
	return fmt.Sprintf("/dev/serial/by-path/platform-4010000000.pcie-pci-0000:00:10.0-usb-0:%d:1.0-port0", n+1)
}

// Pull takes the USB adapter of one of Lines out of its socket.
func (b *Board) Pull(n int) error {
	_, err := b.ask("device_del", map[string]any{"id": adapter(n)})
	return err
}

// Plug puts it back.
func (b *Board) Plug(n int) error {
	_, err := b.ask("device_add", map[string]any{"driver": "usb-serial", "chardev": fmt.Sprintf("rs%d", n), "bus": "xhci.0", "port": fmt.Sprint(n + 1), "id": adapter(n), "always-plugged": true})
	return err
}

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
	b.mu.Lock()
	if b.client != nil {
		b.client.CloseIdleConnections()
	}
	b.mu.Unlock()
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
	// One connection for all: a handshake costs an emulated board most of a second.
	b.mu.Lock()
	if b.client == nil {
		b.client = Client(10 * time.Second)
	}
	c := b.client
	b.mu.Unlock()
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

// Taken tells, as the board's own kernel counts it, how much of its memory is taken:
// MemTotal less MemAvailable, in MiB. The kernel tells it to the emulator's balloon.
func (b *Board) Taken() (mib float64, err error) {
	const at = "/machine/peripheral/balloon"
	if _, err := b.ask("qom-set", map[string]any{"path": at, "property": "guest-stats-polling-interval", "value": 1}); err != nil {
		return 0, err
	}
	var s struct {
		Stats struct {
			Total     int64 `json:"stat-total-memory"`
			Available int64 `json:"stat-available-memory"`
		} `json:"stats"`
		Updated int64 `json:"last-update"`
	}
	begun := time.Now().Unix()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		t, err := b.ask("qom-get", map[string]any{"path": at, "property": "guest-stats"})
		if err != nil {
			return 0, err
		}
		if err := json.Unmarshal(t, &s); err != nil {
			return 0, err
		}
		if s.Updated > begun && s.Stats.Total > 0 && s.Stats.Available > 0 {
			return float64(s.Stats.Total-s.Stats.Available) / (1 << 20), nil
		}
	}
	return 0, errors.New("the board's kernel does not tell of its memory")
}

// Reset starts the board anew at once, as its hardware does: its memory keeps what it held.
func (b *Board) Reset() error { return b.monitor("system_reset") }

// Stop holds the whole board still, as a bus or a processor that hangs does, and Go lets
// it run again.
func (b *Board) Stop() error { _, err := b.ask("stop", nil); return err }
func (b *Board) Go() error   { _, err := b.ask("cont", nil); return err }

// Slow lets the card do so many things in a second and no more; 0 for as it can.
func (b *Board) Slow(iops int) error {
	_, err := b.ask("block_set_io_throttle", map[string]any{"id": "disk", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": iops, "iops_rd": 0, "iops_wr": 0})
	return err
}

func (b *Board) monitor(command string) error { _, err := b.ask(command, nil); return err }

// ask gives the emulator a command (QEMU Machine Protocol), and gives what it answers.
func (b *Board) ask(command string, args map[string]any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", b.qmp())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	if _, err := r.ReadString('\n'); err != nil { // its greeting
		return nil, err
	}
	var last json.RawMessage
	for _, q := range []map[string]any{{"execute": "qmp_capabilities"}, {"execute": command, "arguments": args}} {
		if args == nil {
			delete(q, "arguments")
		}
		t, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		if _, err := c.Write(append(t, '\n')); err != nil {
			return nil, err
		}
		for last = nil; last == nil; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return nil, err
			}
			var a struct {
				Return json.RawMessage `json:"return"`
				Error  json.RawMessage `json:"error"`
			}
			if err := json.Unmarshal(line, &a); err != nil {
				return nil, err
			}
			if a.Error != nil {
				return nil, fmt.Errorf("%s: %s", command, a.Error)
			}
			last = a.Return // an event has neither
		}
	}
	return last, nil
}

// Events gives what the emulator told of the board since it was last switched on: RESET,
// WATCHDOG and others by their names (QEMU Machine Protocol).
func (b *Board) Events() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.events...)
}

// listen keeps what the emulator tells by itself, on a socket of its own, until it ends.
func (b *Board) listen(socket string, done chan struct{}) {
	var c net.Conn
	for c == nil {
		var err error
		if c, err = net.Dial("unix", socket); err == nil {
			break
		}
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	defer c.Close()
	if _, err := io.WriteString(c, `{"execute":"qmp_capabilities"}`+"\n"); err != nil {
		return
	}
	for r := json.NewDecoder(c); ; {
		var m struct {
			Event string `json:"event"`
		}
		if r.Decode(&m) != nil {
			return
		}
		if m.Event == "" {
			continue
		}
		b.mu.Lock()
		if b.done == done {
			b.events = append(b.events, m.Event)
		}
		b.mu.Unlock()
	}
}

// CopyDisk copies an image with its holes.
func CopyDisk(to, from string) error {
	out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
