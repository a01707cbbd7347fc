// Package mesh is a LoRa mesh as the programs at its nodes meet it: nodes with
// Meshtastic firmware on serial ports and the air between them, on which each hop
// loses. It is written from the public description of the serial stream and of
// the messages' field numbers, with its own few lines of protobuf, and enforces
// what the firmware enforces: nothing before the settings were asked for, equal
// writes dropped, a queue of 16 that says how full it is, a duty cycle, a hop
// limit, repeats until an acknowledgement or five tries. It imports nothing of
// firmware or drivers.
package mesh
