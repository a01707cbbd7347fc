package config

// Proxy serves a line to other Modbus TCP clients.
type Proxy struct {
	// Listen is the address, such as ":1502".
	Listen string `yaml:"listen"`
	// Line is the line that is served.
	Line string `yaml:"line"`
	// Allow are addresses and networks that may connect: 192.168.1.0/24.
	Allow []string `yaml:"allow"`
	// Write lets clients write; never to a device that an output hangs on.
	Write bool `yaml:"write"`
	// Fresh is how long an answer serves others that ask for the same (1s).
	Fresh Span `yaml:"fresh"`
	// Rate is how many requests a second the line gets of all clients (10).
	Rate float64 `yaml:"rate"`
}
