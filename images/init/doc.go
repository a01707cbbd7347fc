// Command init is PID 1 of a Tocsin board: what stands between the kernel and edged, and
// nothing more. It is in the initramfs of a slot, and does, in this order:
//
//	kernel's file systems, drivers     mounts.go, modules.go, devices.go
//	the slot, read-only, as the root   mounts.go, disk.go
//	the data partition                 data.go: mended, or set aside and made anew, or done
//	                                   without; edged waits twenty seconds at the worst, and
//	                                   what takes longer goes on beside
//	the box, where that lost it        spare.go: from a copy that no partition has
//	its growth to the card's end       grow.go, once all else runs
//	cycles of power, the button        cycles.go
//	edged                              supervise.go, notify.go, groups.go
//	watchdog                           watchdog.go: fed while edged proves that it is alive
//	network, access point              network.go, accesspoint.go
//	the label, on a display            label.go, while nobody owns the box
//	who asks                           control.go, on /run/tocsin-init.sock
//
// It gives edged what systemd would: the notify socket, a watchdog, control groups of its
// own. edged runs as a user without rights, and asks init for what needs them: the
// network, the choice of the slot that starts, a new start of the board. The board's disk is
// root's alone: edged is given descriptors of its slots (slot.go), and what edged starts, which
// runs as the same user, is given nothing.
//
// Whatever fails here is said on the console and goes on: a box without data, network or
// clock still warns, and a panic ends the part that it is in (survive.go). Only init's own death is the kernel's matter: it panics, the board
// starts anew, and during the trial of an update that is one try less.
package main
