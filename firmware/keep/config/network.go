package config

// Network is what one of the board's interfaces shall be.
type Network struct {
	// DHCP asks for an address; else Address is it, with its prefix.
	DHCP    bool     `yaml:"dhcp"`
	Address string   `yaml:"address"`
	Gateway string   `yaml:"gateway"`
	DNS     []string `yaml:"dns"`
}
