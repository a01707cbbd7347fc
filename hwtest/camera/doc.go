// Package camera is a network camera as seen from the cable: RTSP with digest
// (a main and a lower stream, sound or none), ONVIF's device and media services with a
// user token or HTTP digest, a JPEG snapshot, and answers to WS-Discovery probes.
//
// Pictures are what the test gives it; it makes none. It refuses what real cameras refuse: a
// wrong password, a path that it does not have, one connection too many; and it can be told to fall
// silent, to break off, and to have sound that cannot be had. The RTSP side is gortsplib's
// server, the ONVIF side is written here from the WSDLs (ver10/device, ver10/media) and
// OASIS's WS-UsernameToken 1.1 and WS-Discovery 2005/04.
package camera
