package config

// Box says by what the box itself is watched. A key that is not written is found by the role
// that a device's profile gives its points.
type Box struct {
	// Door are contacts that are on while the door is open, DoorShut such that are on while it
	// is shut; Water are on while water stands in the box.
	Door     []string `yaml:"door"`
	DoorShut []string `yaml:"door_shut"`
	Water    []string `yaml:"water"`
	// Tilt are contacts that are on while the pole leans, or angles in degrees; of these TiltMost
	// is how far they may be from 0.
	Tilt     []string `yaml:"tilt"`
	TiltMost float64  `yaml:"tilt_most"`
	// Loop is a point of each loudspeaker that is on while its loop is open.
	Loop map[string]string `yaml:"loop"`
}
