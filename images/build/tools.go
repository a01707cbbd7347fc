package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// run runs a program and gives what it said; a failure says the program's last words.
func run(env []string, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		said := strings.TrimSpace(out.String())
		if len(said) > 2000 {
			said = "… " + said[len(said)-2000:]
		}
		return out.String(), fmt.Errorf("%s: %w\n%s", name, err, said)
	}
	return out.String(), nil
}

// moduleDir downloads a Go module and holds it to its sum.
func moduleDir(path, version, sum string) (string, error) {
	dir, err := os.MkdirTemp("", "tocsin-mod")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(dir+"/go.mod", []byte("module none\n\ngo 1.25\n"), 0o644); err != nil {
		return "", err
	}
	c := exec.Command("go", "mod", "download", "-json", path+"@"+version)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", path, err, out)
	}
	var m struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", err
	}
	if m.Sum != sum {
		return "", fmt.Errorf("%s@%s has the sum %s, not %s: it is not what was tried", path, version, m.Sum, sum)
	}
	return m.Dir, nil
}
