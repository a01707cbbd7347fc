package terms

import (
	"time"

	"tocsin/firmware/phrase"
)

// Search asks for the cameras of a cable; it is given to the child's program as JSON on its standard
// input, with the word "search", and its standard output is a Found.
type Search struct {
	// Wait is how long answers are waited for on each network.
	Wait time.Duration `json:"wait_ns"`
	// At is one camera's address (and port), where a question to all does not get through.
	At string `json:"at,omitempty"`
	// User and Password, where they are known, have each camera asked for its streams too.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

// SearchWord is the program's argument for a search.
const SearchWord = "search"

// Found is what answered.
type Found struct {
	Cameras []Camera `json:"cameras"`
	// Networks are those that were asked, Why is what is wrong with one that could not be.
	Networks []string         `json:"networks"`
	Why      []phrase.Message `json:"why,omitempty"`
}

// Camera is one that answered; all that it says of itself is a stranger's word, bounded.
type Camera struct {
	// Address is that of its ONVIF service, for onvif: in the site's file.
	Address  string `json:"address"`
	Name     string `json:"name,omitempty"`
	Hardware string `json:"hardware,omitempty"`
	Network  string `json:"network,omitempty"`
	// Streams are its pictures, the best first; Why is why they are not known.
	Streams []CameraStream  `json:"streams,omitempty"`
	Why     *phrase.Message `json:"why,omitempty"`
}

// CameraStream is one of a camera's pictures.
type CameraStream struct {
	URL    string `json:"url"` // for pull: or low:
	Codec  string `json:"codec,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}
