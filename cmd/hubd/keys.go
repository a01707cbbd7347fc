package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/nats-io/nkeys"
	"golang.org/x/crypto/bcrypt"

	"tocsin/firmware/reach/letter"
)

// KeyCmd makes a station's key.
type KeyCmd struct {
	PSK bool `help:"生成数据报密钥 · make a key for datagrams"`
}

// Run prints it: nothing is kept here.
func (c *KeyCmd) Run(g *Globals) error {
	if c.PSK {
		b := make([]byte, letter.KeySize)
		rand.Read(b)
		_, err := fmt.Fprintln(g.out(), hex.EncodeToString(b))
		return err
	}
	k, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	seed, err := k.Seed()
	if err != nil {
		return err
	}
	public, err := k.PublicKey()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.out(), "seed: %s\nnkey: %s\n", seed, public)
	return err
}

// TokenCmd makes a token.
type TokenCmd struct{}

// Run prints it and the digest that belongs in the hub's file.
func (TokenCmd) Run(g *Globals) error {
	var b [20]byte
	rand.Read(b[:])
	token := hex.EncodeToString(b[:])
	d, err := bcrypt.GenerateFromPassword([]byte(token), bcrypt.DefaultCost)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.out(), "secret: %s\ntoken: %s\n", token, d)
	return err
}
