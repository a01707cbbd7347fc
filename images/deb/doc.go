// Package deb is the Debian package for boards that have a Debian of their own: its files,
// its maintainer scripts, and the trial of it (make deb-test).
//
//	edged.service     configs/edged.service, hardened, with a watchdog
//	sysusers.conf     the user without rights that it runs as
//	udev.rules        GPIO, I2C, pulse and clock chip for that user
//	watchdog.conf     the board's own watchdog, fed by systemd
//	preinst           refuses an upgrade while a level stands
//	postinst, prerm   seed the site once, start, stop
//	postrm            a removal keeps what the box knows; a purge sets it aside
//
// Sources: Debian Policy Manual, chapter 6 (maintainer scripts); systemd.exec(5),
// sysusers.d(5), systemd-system.conf(5).
package deb
