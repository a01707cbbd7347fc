package profile_test

import (
	"testing"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

func TestEveryProfileOfTheHouseProvesItself(t *testing.T) {
	names := profile.Names(configs.FS)
	if len(names) < 5 {
		t.Fatalf("only %v", names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			p, problems := profile.Load(configs.FS, name)
			for _, pr := range problems {
				t.Error(pr.In(phrase.EN))
			}
			if p == nil {
				return
			}
			for _, pr := range p.Prove() {
				t.Error(pr.In(phrase.EN))
			}
		})
	}
}
