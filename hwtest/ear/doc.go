// Package ear is the bench's ears: it listens to what a box plays and tells
// when it began, how loud it was, which tones were in it and in what cadence,
// and where it was silent.
//
// It hears a WAV file as it grows (16-bit PCM), the file that a link names now,
// or a FIFO. It never knows what should have been played.
//
// Sources: the RIFF/WAVE form (Multimedia Programming Interface and Data
// Specifications 1.0, chapter 3); Goertzel, "An Algorithm for the Evaluation of
// Finite Trigonometric Series", 1958; Cooley and Tukey, 1965. Levels are in
// dBFS against an amplitude of 32768, so that a sine of full scale has a peak
// of 0 and an RMS of -3.01.
package ear
