package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tocsin/hwtest/cell"
	"tocsin/hwtest/port"
)

// The village's people. The secretary answers and confirms, the head never does, and
// his deputy stands in.
const (
	secretary = "+8613800000001"
	head      = "+8613800000002"
	deputy    = "+8613800000003"
)

// calls are the demonstration's own: seconds instead of minutes.
const calls = `version: 1
from: {sms: prepare, call: evacuate}
keys: "1"
tries: 2
again: 3s
soon: 3s
repeat: 1
ring: 4s
linger: 4s
longest: 30s
first: 20s
within: 10m
afresh: 1h
drill: {sms: true, call: true}
`

// phones is a 4G modem with its network and the people who have telephones.
type phones struct {
	modem *cell.Modem
	ports []*port.Port
}

func newPhones() (*phones, error) {
	p := &phones{modem: cell.New()}
	for range 2 {
		x, err := port.Open()
		if err != nil {
			p.close()
			return nil, err
		}
		p.ports = append(p.ports, x)
	}
	go p.modem.Serve(p.ports[0])
	go p.modem.Sound(p.ports[1])
	p.modem.Set(func(w *cell.Ways) { w.Takes = 200 * time.Millisecond })
	confirms := cell.Phone{Rings: 500 * time.Millisecond, Answers: 800 * time.Millisecond, Presses: []cell.Press{{After: 2 * time.Second, Key: '1'}}}
	p.modem.Subscribe(secretary, confirms)
	p.modem.Subscribe(deputy, confirms)
	p.modem.Subscribe(head, cell.Phone{Rings: 500 * time.Millisecond})
	return p, nil
}

func (p *phones) close() error {
	var errs []error
	for _, x := range p.ports {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// site is what the site's file says of them: the last of its links, and its people.
func (p *phones) site() string {
	return fmt.Sprintf(`  sms: {kind: modem, port: %s, sound: %s, profile: modem-sim7600, transmit: {}}
people:
  - {id: chen, name: {zh: 陈志强, en: Chen Zhiqiang}, role: {zh: 村支书, en: village secretary}, numbers: ["%s"], language: yue}
  - {id: wang, name: {zh: 王建国, en: Wang Jianguo}, role: {zh: 村主任, en: village head}, numbers: ["%s"], deputies: [li]}
  - {id: li, name: {zh: 李桂芳, en: Li Guifang}, role: {zh: 妇女主任, en: his deputy}, numbers: ["%s"]}
`, p.ports[0].Path, p.ports[1].Path, secretary, head, deputy)
}

// heard tells how much a number heard of all calls, and how many there were since.
func (p *phones) heard(number string) (calls int, d time.Duration) {
	for _, t := range p.modem.Talks() {
		if t.Number == number {
			calls++
			d += time.Duration(len(t.Heard)) * time.Second / 8000
		}
	}
	return calls, d
}

// wrote tells whether a text with some words went to a number.
func (p *phones) wrote(number, words string) bool {
	text := ""
	for _, m := range p.modem.Sent() {
		if m.Number == number {
			text += m.Text
		}
	}
	return strings.Contains(text, words)
}
