// Package wear watches what ages a board: heat, cold, and writing to its flash.
//
// Watch takes what was read and says what is wrong, with hysteresis and dwell, over virtual time; Read reads it
// from a file system that looks like /sys, so that a test brings its own. Neither does anything about it: the
// station makes faults of it, which the page shows and the county is told. What a board does not say is not made
// up: without a thermal zone there is no temperature, and no fault. A zone or a register that is there and cannot be
// read, or says what no board can be, is one.
//
// An eMMC says itself how much of its life is used. An SD card says nothing: what is written to it is counted over
// restarts, and its life is projected from its size, the cycles that its cells are taken to bear and the writing
// that its controller adds (data; a guess on the low side, and said as one).
//
// # Sources
//
// eMMC: JEDEC JESD84-B51, 7.4 (EXT_CSD): PRE_EOL_INFO [267], DEVICE_LIFE_TIME_EST_TYP_A [268] and _B [269]; their
// files life_time and pre_eol_info: the kernel's Documentation/driver-api/mmc/mmc-dev-attrs. Sectors of 512 bytes
// written: Documentation/block/stat, field 7. Temperatures in thousandths of a degree:
// Documentation/driver-api/thermal/sysfs-api.
package wear
