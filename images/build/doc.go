// Command build makes board images: a slot (kernel, init, root), a whole disk for a first
// card, and the signed package that updates travel in.
//
//	edged and its programs, built before   --bin
//	kernel                                 a pinned Go module (kernel.rpi), or Debian's package
//	espeak-ng, hostapd, wpa_supplicant,    Debian's packages, downloaded and opened, never run;
//	e2fsprogs and their libraries          only what the programs need is taken (elf.go)
//	init                                   built here
//
// Two builds of one commit from the same packages give the same bytes: no clock, no order
// of a folder, no name of the machine gets in. What is in an image and under which licence
// stands in it: sbom.spdx.json and licences/.
//
// Programs that it needs are Debian packages; make image installs them (IMAGING in the Makefile).
package main
