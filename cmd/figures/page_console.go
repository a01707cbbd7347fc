package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// consoleUI is where the console's browser flows are, from the repository's root.
const consoleUI = "firmware/serve/page/ui"

// consoleSeen has a real browser walk through every view of the console at a real box, and
// load it over a thin line.
func consoleSeen(b *bench) error {
	for _, need := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(need); err != nil {
			return fmt.Errorf("%s is not installed", need)
		}
	}
	if _, err := os.Stat(filepath.Join(consoleUI, "node_modules/playwright-core")); err != nil {
		return errors.New("the console's tools are not here: run make ui, from the repository's root")
	}
	v, err := b.village(wired{siren: true, speaker: true, others: true})
	if err != nil {
		return err
	}
	defer v.Close()
	site, err := v.site()
	if err != nil {
		return err
	}
	listen, err := freeTCP()
	if err != nil {
		return err
	}
	data, err := b.under("data")
	if err != nil {
		return err
	}
	x, err := b.startOn(site, data, listen)
	if err != nil {
		return err
	}
	defer x.end()
	if _, err := x.armed(); err != nil {
		return err
	}
	const owner, password = "zhang", "river-stone-lamp-42"
	secret, err := os.ReadFile(filepath.Join(data, "setup-secret"))
	if err != nil {
		return err
	}
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := plain.PostForm("http://"+listen+"/setup", url.Values{"secret": {strings.TrimSpace(string(secret))}, "account": {owner}, "name": {"Zhang Wei"}, "password": {password}, "again": {password}})
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode != http.StatusSeeOther {
		return errors.New("set-up: " + r.Status)
	}
	flow := func(name string, into any) error {
		cmd := exec.CommandContext(b.ctx, "node", filepath.Join("e2e", name+".mjs"))
		cmd.Dir = consoleUI
		cmd.Env = append(os.Environ(), "BOX=http://"+listen, "OWNER="+owner, "PASSWORD="+password, "COUNT=1", "CRAWL=full")
		var out, wrong bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &wrong
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w: %.600s", name, err, wrong.String())
		}
		first, rest, _ := strings.Cut(out.String(), "\n")
		for line := range strings.Lines(rest) {
			b.log("%s", strings.TrimSpace(line))
		}
		return json.Unmarshal([]byte(first), into)
	}
	// First, while nothing else of the browser runs.
	var load struct {
		KB   float64 `json:"first_load_kb_gz"`
		Wait float64 `json:"first_data_s"`
		N    int     `json:"n"`
	}
	if err := flow("firstload", &load); err != nil {
		return err
	}
	b.tell("page.first_load_kb_gz", load.KB, load.N)
	b.tell("page.first_data_s", load.Wait, load.N)
	var seen struct{ Views, Seen, Axe, Small, Scroll, Foreign, Missing, Wrong int }
	if err := flow("crawl", &seen); err != nil {
		return err
	}
	if seen.Wrong > 0 {
		return fmt.Errorf("%d things went wrong in the browser", seen.Wrong)
	}
	why := fmt.Sprintf("%d views, each in 2 languages, 3 themes and 3 widths", seen.Views)
	b.tellWhy("page.axe_violations", float64(seen.Axe), seen.Seen, why)
	b.tellWhy("page.targets_under_44px", float64(seen.Small), seen.Seen, why)
	b.tellWhy("page.scroll_320", float64(seen.Scroll), seen.Seen, why)
	b.tellWhy("page.foreign_requests", float64(seen.Foreign), seen.Seen, why)
	b.tellWhy("page.missing_strings", float64(seen.Missing), seen.Seen, why)
	return nil
}
