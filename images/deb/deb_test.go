//go:build image

package deb

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// debian is a Debian made for the test, and the systemd that runs in it.
type debian struct {
	t    *testing.T
	root string
	pid  string // of its systemd, as this machine sees it
	on   *exec.Cmd
	said bytes.Buffer
}

// newDebian makes one from packages that are kept between runs.
func newDebian(t *testing.T) *debian {
	t.Helper()
	cache := os.Getenv("TOCSIN_CACHE")
	if cache == "" {
		t.Fatal("TOCSIN_CACHE is not set: run make deb-test")
	}
	tar := filepath.Join(cache, "debian-for-deb.tar")
	if _, err := os.Stat(tar); err != nil {
		if err := os.MkdirAll(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		for try := 1; ; try++ {
			out, err := exec.Command("mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd,systemd-sysv,udev", "bookworm", tar).CombinedOutput()
			if err == nil {
				break
			}
			_ = os.Remove(tar)
			if try == 3 {
				t.Fatalf("mmdebstrap: %v\n%s", err, out)
			}
		}
	}
	d := &debian{t: t, root: filepath.Join(t.TempDir(), "root")}
	if err := os.Mkdir(d.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", d.root, "-xf", tar).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	t.Cleanup(d.off)
	return d
}

var container = []string{"--quiet", "--register=no", "--keep-unit", "--private-network"}

// without runs a command in it while it is off.
func (d *debian) without(args ...string) (string, error) {
	d.t.Helper()
	c := exec.Command("systemd-nspawn", append(append(container, "-D", d.root, "--pipe"), args...)...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// boot starts it.
func (d *debian) boot() {
	d.t.Helper()
	d.on = exec.Command("systemd-nspawn", append(container, "-D", d.root, "-b")...)
	d.on.Stdout, d.on.Stderr = &d.said, &d.said
	d.on.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := d.on.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.wait("its systemd", 30*time.Second, func() error {
		out, err := exec.Command("pgrep", "-x", "-P", fmt.Sprint(d.on.Process.Pid), "systemd").Output()
		d.pid = strings.TrimSpace(string(out))
		return err
	})
	d.wait("its services", time.Minute, func() error {
		out, err := d.do("systemctl", "is-system-running")
		if s := strings.TrimSpace(out); s == "running" || s == "degraded" {
			return nil
		}
		return fmt.Errorf("%s %v", out, err)
	})
}

func (d *debian) off() {
	if d.on == nil {
		return
	}
	_ = d.on.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = d.on.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		_ = syscall.Kill(-d.on.Process.Pid, syscall.SIGKILL)
		<-done
	}
	d.on = nil
	if d.t.Failed() {
		d.t.Log(d.said.String())
	}
}

// do runs a command in it while it is on.
func (d *debian) do(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "nsenter", append([]string{"-t", d.pid, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}, args...)...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// must runs a command that has to go well.
func (d *debian) must(args ...string) string {
	d.t.Helper()
	out, err := d.do(args...)
	if err != nil {
		log, _ := d.do("journalctl", "-u", "edged", "--no-pager", "-n", "40")
		d.t.Fatalf("%v: %v\n%s\n%s", args, err, out, log)
	}
	return strings.TrimSpace(out)
}

func (d *debian) wait(what string, most time.Duration, ok func() error) {
	d.t.Helper()
	var err error
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	log := ""
	if d.pid != "" {
		log, _ = d.do("journalctl", "-u", "edged", "--no-pager", "-n", "60")
	}
	d.t.Fatalf("%s did not come in %s: %v\n%s\n%s", what, most, err, log, d.said.String())
}

// stands waits until edged stands watch, and gives its process.
func (d *debian) stands(not string) (pid string) {
	d.t.Helper()
	d.wait("an edged that stands watch", time.Minute, func() error {
		out, err := d.do("systemctl", "show", "edged", "-p", "ActiveState", "-p", "SubState", "-p", "MainPID")
		var p string
		for l := range strings.Lines(out) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(l), "MainPID="); ok {
				p = v
			}
		}
		if !strings.Contains(out, "ActiveState=active") || !strings.Contains(out, "SubState=running") || p == "0" || p == not {
			return fmt.Errorf("%s %v", out, err)
		}
		pid = p
		out, err = d.do("edged", "status", "--socket", "/run/tocsin/edged.sock") // it warns before it answers
		if err != nil {
			return fmt.Errorf("%s %v", out, err)
		}
		return nil
	})
	return pid
}

// put brings a package into it.
func (d *debian) put(version string) string {
	d.t.Helper()
	from := filepath.Join(os.Getenv("TOCSIN_DEBS"), "tocsin_"+version+"_amd64.deb")
	b, err := os.ReadFile(from)
	if err != nil {
		d.t.Fatalf("%v: run make deb-test", err)
	}
	to := "/opt/" + filepath.Base(from)
	if err := os.WriteFile(filepath.Join(d.root, to), b, 0o644); err != nil {
		d.t.Fatal(err)
	}
	return to
}

func version() string { return os.Getenv("TOCSIN_DEB_VERSION") }

// newer is a later package with the same programs.
func newer(t *testing.T, root, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "p")
	for _, c := range [][]string{
		{"dpkg-deb", "-R", filepath.Join(root, deb), dir},
		{"rm", "-f", filepath.Join(dir, "DEBIAN/conffiles")}, // nfpm writes one without a name in it
		{"sed", "-i", "s/^Version: .*/&.1/", filepath.Join(dir, "DEBIAN/control")},
		{"dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", dir, filepath.Join(root, "opt/newer.deb")},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	return "/opt/newer.deb"
}

func TestThePackageInstallsStartsHealsAndKeepsItsDataOverUpgradeAndRemoval(t *testing.T) {
	d := newDebian(t)
	deb := d.put(version())
	if out, err := d.without("dpkg", "-i", deb); err != nil {
		t.Fatalf("dpkg: %v\n%s", err, out)
	}
	d.boot()
	first := d.stands("")

	t.Run("it runs without rights, and its page answers on the usual port", func(t *testing.T) {
		status, err := os.ReadFile("/proc/" + host(t, d, first) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000400"} { // CAP_NET_BIND_SERVICE alone
			if !strings.Contains(string(status), l) {
				t.Errorf("%q is not so:\n%s", l, status)
			}
		}
		if u := d.must("stat", "-c", "%U %a", "/var/lib/tocsin", "/etc/tocsin"); u != "tocsin 750\ntocsin 750" {
			t.Error(u)
		}
		d.wait("the page", 30*time.Second, func() error {
			out, err := exec.Command("nsenter", "-t", d.pid, "-n", "curl", "-sk", "-m", "5", "https://127.0.0.1/").CombinedOutput() // without a port
			if err != nil || !strings.Contains(string(out), "未安装的盒子") {
				return fmt.Errorf("%v %.300s", err, out)
			}
			return nil
		})
		exposure := d.must("systemd-analyze", "security", "--no-pager", "edged.service")
		lines := strings.Split(exposure, "\n")
		var score float64
		if _, err := fmt.Sscanf(lines[len(lines)-1][strings.Index(lines[len(lines)-1], "edged.service:"):], "edged.service: %f", &score); err != nil || score > 3 {
			t.Errorf("systemd's own judgement of the unit (0 is best): %.1f %v", score, err)
		}
		t.Logf("systemd-analyze security: %.1f", score)
	})

	t.Run("the licences of what it is made of are in it", func(t *testing.T) {
		for file, names := range map[string][]string{"copyright": {"Apache License"}, "licences/go.txt": {"github.com/pion/webrtc/v4", "modernc.org/sqlite", "Permission is hereby granted"}, "licences/page.txt": {"svelte"}} {
			text := d.must("cat", "/usr/share/doc/tocsin/"+file)
			for _, n := range names {
				if !strings.Contains(text, n) {
					t.Errorf("%s has nothing of %s", file, n)
				}
			}
		}
	})

	t.Run("one that hangs is started again", func(t *testing.T) {
		d.must("systemctl", "kill", "--kill-who=main", "-s", "STOP", "edged")
		first = d.stands(first)
	})

	// What it knows: its own key, and a site that somebody has changed.
	d.must("sed", "-i", "s/未安装的盒子/黄渡/", "/etc/tocsin/site.yaml")
	key := d.must("edged", "key", "--pem", "--socket", "/run/tocsin/edged.sock")
	knows := func(t *testing.T) {
		t.Helper()
		if k := d.must("edged", "key", "--pem", "--socket", "/run/tocsin/edged.sock"); k != key {
			t.Errorf("it is another box now: %s, %s", k, key)
		}
		if s := d.must("cat", "/etc/tocsin/site.yaml"); !strings.Contains(s, "黄渡") {
			t.Errorf("the site's file was replaced:\n%s", s)
		}
	}

	t.Run("an upgrade runs the new one and keeps what it knows", func(t *testing.T) {
		d.must("dpkg", "-i", newer(t, d.root, deb))
		first = d.stands(first)
		knows(t)
	})

	t.Run("a removal stops it, and one that is installed again is the same box", func(t *testing.T) {
		d.must("dpkg", "-r", "tocsin")
		if out, _ := d.do("systemctl", "is-active", "edged"); strings.TrimSpace(out) != "inactive" {
			t.Errorf("it is %s", out)
		}
		d.must("dpkg", "-i", deb)
		first = d.stands(first)
		knows(t)
	})

	t.Run("nothing is upgraded while a level stands", func(t *testing.T) {
		d.must("cp", "/usr/bin/edged", "/opt/edged.real")
		// In place of a storm: what asks the box is answered as a box with a level answers.
		d.must("sh", "-c", "rm /usr/bin/edged && printf '#!/bin/sh\\necho level >&2\\nexit 1\\n' > /usr/bin/edged && chmod 755 /usr/bin/edged")
		out, err := d.do("dpkg", "-i", "/opt/newer.deb")
		if err == nil || !strings.Contains(out, "现在不能换软件") {
			t.Fatalf("%v\n%s", err, out)
		}
		d.must("sh", "-c", "rm /usr/bin/edged && cp /opt/edged.real /usr/bin/edged")
		if p := d.stands(""); p != first {
			t.Error("it was restarted")
		}
		d.must("dpkg", "-i", "/opt/newer.deb")
		first = d.stands(first)
		knows(t)
	})

	t.Run("a purge sets aside what it knew", func(t *testing.T) {
		d.must("dpkg", "-P", "tocsin")
		if out := d.must("sh", "-c", "ls -d /etc/tocsin /var/lib/tocsin 2>/dev/null; ls /var/backups/tocsin-*"); out != "_etc_tocsin\n_var_lib_tocsin" {
			t.Error(out)
		}
	})
}

// host gives a process of the container's as this machine sees it.
func host(t *testing.T, d *debian, pid string) string {
	t.Helper()
	out, err := exec.Command("pgrep", "--ns", d.pid, "--nslist", "pid", "edged").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		b, err := os.ReadFile("/proc/" + p + "/status")
		if err == nil && strings.Contains(string(b), "\t"+pid+"\n") {
			return p
		}
	}
	t.Fatalf("no process of this machine is %s there: %s", pid, out)
	return ""
}
