// Package slots is the update.Installer of a board that boots from one of two slots.
//
//	selector    what the boot loader starts: Good, or for Left more starts Next
//	slot A, B   an image, and in the partition's last MiB the signed header it came with
//
// What runs is never written. A release goes chunk by chunk into the other slot, each held
// to its sum before and the whole read back after; then its header is put behind it, and
// only then can it be activated. So what a slot holds is known from the slot alone, signed,
// and an update that broke off goes on where it was without anybody having kept a note: a
// chunk that already stands in its place is not asked for again.
//
// A trial is in the boot loader's hands: it starts Next while Left counts down, whatever
// becomes of it, and Good afterwards. Confirm makes Next good; nothing else does while the good
// slot starts (where it does not, three times, the board's init takes the other one). Why a
// trial ended is kept beside that choice, in 512 bytes outside every file system, so that
// the box that comes back can say it with its data partition full, broken or gone.
//
// The number of a confirmed release is a floor that the selector keeps: an older one is
// refused, however it was signed. After a power cut at any instant the box starts a whole,
// signed slot: the selector has two copies, written one after the other.
//
// Sources: U-Boot, doc/usage/environment (the CRC-32 and the key=value form); Raspberry Pi
// documentation, "autoboot.txt" (tryboot_a_b, boot_partition).
package slots
