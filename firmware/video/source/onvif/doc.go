// Package onvif asks cameras what they have: it finds those of a cable, their
// profiles and the addresses of their streams and snapshots; fetches a snapshot; and
// asks for a key picture. It is a client of five calls, and changes nothing in a camera.
//
// All that a camera says is a stranger's: an answer is bounded in bytes, depth, elements and text, has no
// DTD and no entity of its own, and its addresses lead nowhere but to the camera that
// was asked. A camera behind a translator often tells an address of its own cable: the host that
// answered is put in its place.
//
// The password is sent as WS-UsernameToken digest, with the camera's own time where that
// differs (most cameras of a pole have never been told the time), or by HTTP digest or, for
// the snapshot alone and only where the camera asks for it, basic.
//
// Sources: ONVIF Core Specification 2.4 (WSDL ver10/device/wsdl/devicemgmt.wsdl), Media
// Service Specification (ver10/media/wsdl/media.wsdl: GetProfiles, GetStreamUri, GetSnapshotUri,
// SetSynchronizationPoint), Core 7.3 (discovery); OASIS WS-Discovery 2005/04; OASIS Web Services
// Security UsernameToken Profile 1.0; RFC 7616, RFC 2617 (HTTP digest).
package onvif
