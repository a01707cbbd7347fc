// Package meshtastic is a node of a LoRa mesh with Meshtastic firmware on a serial
// port: a drivers.Terminal. Messages of ours go in port PRIVATE_APP (256), text
// for people's handsets in ALERT_APP (11).
//
// The serial stream is frames of 94 C3, a length of two bytes and a protobuf; it
// has no checksum, so that a frame counts only where it reads as one, and what
// did not is searched again for a frame within. The few fields that are used
// are written by hand with protowire: code generated from the project's files is
// under its licence (GPL-3.0).
//
// It transmits only where Opts.Transmit is set and the licence, the band and the
// power are entered, and the node itself is set to that band and to no more than
// that power: a mesh in 470–510 MHz is not covered by the exemption for civil
// meters (MIIT notice 52/2019). All others receive. With Opts.Airtime no message
// is longer on the air than that, reckoned for the modem preset that the node has.
//
// What the mesh calls an acknowledgement means that some node repeated the packet;
// it is told as StageTaken and is a hint, no receipt.
//
// Sources: meshtastic.org "Client API (Serial/TCP/BLE)" and the message and field
// numbers of the public interface files (mesh.proto, config.proto, portnums.proto);
// LoRa time on air from Semtech AN1200.13, section 4.
package meshtastic
