package api

import (
	"crypto/tls"
	"testing"
)

func TestAPageOnTheUsualPortIsFoundWithTLSWithoutNamingOne(t *testing.T) {
	with, without := &Server{o: Opts{TLS: &tls.Config{}}}, &Server{}
	for addr, want := range map[string]string{":80": ":443", "192.168.1.5:80": "192.168.1.5:443", "[fd00::5]:80": "[fd00::5]:443", ":8080": "", "127.0.0.1:0": "", "nonsense": ""} {
		if got := with.besides(addr); got != want {
			t.Errorf("%s: %q", addr, got)
		}
		if got := without.besides(addr); got != "" {
			t.Errorf("without TLS there is none: %s: %q", addr, got)
		}
	}
	for host, want := range map[string]string{"192.168.1.5:80": "192.168.1.5", "192.168.1.5": "192.168.1.5", "tocsin.local:8080": "tocsin.local:8080", "[fd00::5]:80": "[fd00::5]"} {
		if got := SecureHost(host); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}
