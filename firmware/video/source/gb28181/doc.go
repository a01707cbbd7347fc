// Package gb28181 takes pictures of cameras and drones that speak GB/T 28181 as devices:
// here the box is the upper platform. A configured device signs in with its code and
// password (digest, RFC 7616), its channel is invited and its program stream goes to the
// stream of that name, if the desk lets it (source.Desk; the device's password is the
// stream's key). A viewer's wish for a key picture becomes an IFameCmd.
//
// A device that is not configured gets nothing but a refusal. What comes
// for a session is taken only from the address of the device that signed in, or the one
// that its answer names within it. Where pictures stay away, the session is ended and
// asked for again, ever more slowly.
//
// TCP for media is passive here (the device connects): devices are behind routers.
//
// Sources: GB/T 28181-2022, chapter 9 and Annexes A and C; RFC 3261, 4145, 4571, 7616.
package gb28181
