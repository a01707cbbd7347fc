package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// result is one step as it was seen.
type result struct {
	Name string `json:"name"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
	// At is when it was done, Took how long it took to be seen, in seconds.
	At   float64 `json:"at_s"`
	Took float64 `json:"took_s"`
	Seen bool    `json:"seen"`
	// By says by what.
	By string `json:"by"`
}

type receipt struct {
	Cause    string    `json:"cause"`
	Order    string    `json:"order"`
	Output   string    `json:"output"`
	State    string    `json:"state"`
	Measured string    `json:"measured"`
	Why      string    `json:"why,omitempty"`
	At       time.Time `json:"at"`
}

type summary struct {
	mu       sync.Mutex
	OK       bool      `json:"ok"`
	Seconds  float64   `json:"seconds"`
	Limit    float64   `json:"limit_s,omitempty"`
	Steps    []result  `json:"steps"`
	Receipts []receipt `json:"receipts"`
	// Links lists what came to the hub and what became of what it sent, by link.
	Links []string `json:"links"`
	// Picture lists how much of the drone's picture went to the county, when and why.
	Picture []string `json:"picture"`
	// Plain is what a box that only compares numbers would have done.
	Plain []string `json:"plain_threshold_box"`
}

func (s *summary) add(r result) { s.reserve(r); s.show(r) }

func (s *summary) reserve(r result) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Steps = append(s.Steps, r)
	return len(s.Steps) - 1
}

func (s *summary) fill(i int, seen bool, by string, took time.Duration) {
	s.mu.Lock()
	r := &s.Steps[i]
	r.Seen, r.By, r.Took = seen, by, took.Seconds()
	show := *r
	s.mu.Unlock()
	s.show(show)
}

func (s *summary) show(r result) {
	mark := "✓"
	if !r.Seen {
		mark = "✗"
	}
	fmt.Printf("%s %5.1f s  %s\n           %s\n           %s\n", mark, r.At, r.ZH, r.EN, r.By)
}

func (s *summary) finish(limit time.Duration) bool {
	s.OK, s.Limit = len(s.Steps) > 1, limit.Seconds()
	for _, r := range s.Steps {
		s.OK = s.OK && r.Seen
	}
	return s.OK
}

func (s *summary) save(path string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func (s *summary) print(w io.Writer) {
	seen := 0
	for _, r := range s.Steps {
		if r.Seen {
			seen++
		}
	}
	fmt.Fprintf(w, "\n看到 %d/%d 步，用时 %.0f 秒 · %d of %d steps seen in %.0f s\n", seen, len(s.Steps), s.Seconds, seen, len(s.Steps), s.Seconds)
	if len(s.Links) > 0 {
		fmt.Fprintf(w, "各条消息和回执走的链路 · every message and receipt by its links:\n  %s\n", strings.Join(s.Links, "\n  "))
	}
	if len(s.Picture) > 0 {
		fmt.Fprintf(w, "无人机画面逐级升降 · the drone's picture, rung by rung:\n  %s\n", strings.Join(s.Picture, "\n  "))
	}
	if len(s.Plain) > 0 {
		fmt.Fprintf(w, "只比大小的盒子会 · a plain threshold box would have:\n  %s\n", strings.Join(s.Plain, "\n  "))
	}
}
