package main

import (
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// FactoryResetCmd makes the box as it came.
type FactoryResetCmd struct {
	by
	Secret string `arg:"" help:"盒子里面印的密钥（也是 Wi-Fi 密码） · the secret that is printed inside the box, its Wi-Fi key"`
}

// Run asks for it.
func (c *FactoryResetCmd) Run(g *Globals) error {
	ask := struct {
		api.Named
		Secret string `json:"secret"`
	}{api.Named{Who: c.name()}, c.Secret}
	if err := g.get("/factory-reset", ask, nil); err != nil {
		return err
	}
	g.say(phrase.M("reset.begun"))
	return nil
}
