// Package commission keeps the sheet of a site's commissioning: which step of
// configs/commissioning.yaml is open, passed, failed or does not apply, who said so and
// when, what the box measured for it, what a person entered, and the photos.
//
// The sheet is one file that is replaced whole and flushed (rename(2), fsync(2)), so
// that a cut of the power leaves the sheet before or after a change, and a measurement
// that was under way goes on after it. A photo is on the disk before the sheet names it;
// what no sheet names is removed at the next start. Steps, limits and quotas are data.
//
// A step passes only with all that it asks: what the box measures, good for every thing
// that it is measured on, what a person enters, within its limits, and its photos. A site
// is commissioned when each step that applies has passed, or is left out, where it may be,
// for a stated reason.
//
// Photos come from outside: their frames are read, never decoded, their size is bounded,
// and nothing but the picture and its orientation is kept; where it was taken and by
// whose telephone is dropped.
//
// Sources: ISO/IEC 10918-1 annex B (JPEG markers), JEITA CP-3451 (Exif, tag 0x0112),
// W3C PNG third edition, sections 5 and 11.
package commission
