package api

// Identity is who this box is to others.
type Identity struct {
	// Station is how the county's hub calls it, Number its own in the county's table; 0
	// where it has none.
	Station string `json:"station"`
	Number  int    `json:"number"`
	// Key is the id of the key by which it signs its messages, PEM the public key, for whoever
	// is to believe it; both are empty until it is there.
	Key string `json:"key"`
	PEM string `json:"pem"`
}

func (s *Server) registerIdentity() {
	get(s, "/identity", "identity", "Who this box is to others: its names, and the public key of what it signs", func() Identity { return s.box.Identity() })
}
