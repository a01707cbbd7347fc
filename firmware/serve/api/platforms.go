package api

import "time"

// Platform is how another platform is told over MQTT.
type Platform struct {
	Name    string    `json:"name"`
	Up      bool      `json:"up"`
	Since   time.Time `json:"since,omitzero"`
	Waiting int       `json:"waiting"`
	// Told counts what the broker acknowledged, Dropped what found no room, Refused what the broker will not have.
	Told    uint64 `json:"told"`
	Dropped uint64 `json:"dropped"`
	Refused uint64 `json:"refused"`
	Why     *Text  `json:"why,omitempty"`
}
