package hubfile

import (
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// File is the hub's document.
type File struct {
	Version int         `yaml:"version"`
	Name    phrase.Text `yaml:"name"`
	// Data is the directory of the streams and the windows of counters.
	Data string `yaml:"data"`
	// Socket is where the desk's commands reach the daemon; DATA/hubd.sock.
	Socket    string             `yaml:"socket"`
	NATS      NATS               `yaml:"nats"`
	Keep      Keep               `yaml:"keep"`
	Datagrams []Datagrams        `yaml:"datagrams"`
	Page      Page               `yaml:"page"`
	Stations  map[string]Station `yaml:"stations"`
}

// NATS is the engine: embedded (Listen) or one that exists (Servers).
type NATS struct {
	Listen string `yaml:"listen"`
	TLS    *TLS   `yaml:"tls"`
	// Servers are addresses of an existing cluster; who may publish what is then
	// its own administrator's.
	Servers []string `yaml:"servers"`
	// CA is a PEM file that alone vouches for Servers; Seed a file with the
	// hub's NKey seed, Credentials a .creds file.
	CA          string `yaml:"ca"`
	Seed        string `yaml:"seed"`
	Credentials string `yaml:"credentials"`
	// Replicas of each stream (3 in a cluster of three; 1).
	Replicas int `yaml:"replicas"`
}

// TLS names PEM files. With Clients, a peer must show a certificate of theirs.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Clients     string `yaml:"clients"`
}

// Keep bounds the streams.
type Keep struct {
	Up       config.Span `yaml:"up"`       // station data (90d)
	Down     config.Span `yaml:"down"`     // what goes to stations (7d)
	Receipts config.Span `yaml:"receipts"` // and so the memory of ids (14d)
	Most     config.Size `yaml:"most"`     // of UP; a full one refuses what is new (20 GiB)
}

// Datagrams is a gateway for UDP, as over satellite IP.
type Datagrams struct {
	Name   string `yaml:"name"`
	Listen string `yaml:"listen"`
}

// Page is the officers' page.
type Page struct {
	Listen   string    `yaml:"listen"`
	TLS      *TLS      `yaml:"tls"`
	Officers []Officer `yaml:"officers"`
}

// Officer is a named person with a token.
type Officer struct {
	Name string `yaml:"name"`
	// Token is the bcrypt digest of the token, as hubd token prints it.
	Token string `yaml:"token"`
}

// Station is one box that the hub knows.
type Station struct {
	Name phrase.Text `yaml:"name"`
	// NKey is its public key (U…), or Token the bcrypt digest of its token: by
	// one of them it signs on over NATS.
	NKey  string `yaml:"nkey"`
	Token string `yaml:"token"`
	// PSK is a file with its datagrams' root key, 64 hexadecimal digits.
	PSK string `yaml:"psk"`
	// Also are further division codes that it warns.
	Also []string `yaml:"also"`

	// Key is what PSK held; nil without.
	Key *letter.Key `yaml:"-"`
}
