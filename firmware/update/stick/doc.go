// Package stick reads release files off a USB stick, from the bare device: the root folder
// of a FAT16 or FAT32 file system, and files in it whose names end in .tocsin.
//
// A stick is anybody's. It is never mounted: what is on it meets no code of the kernel's
// file systems, and of ours only this reader, which writes nothing, follows no link and no
// folder, and believes no length: clusters are held to the size of the device, chains to the
// size of their file, the root folder to mostEntries. A stick that is pulled out is a read
// that fails. What it brings is bytes; whether they are a release is the installer's to say.
//
// Source: Microsoft FAT Specification (2005), 3 (BPB), 4 (FAT), 6 (folders), 7 (long names).
package stick
