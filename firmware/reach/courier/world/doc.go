// Package world is the world in which tests and figures run the courier's machine: links
// that lose, delay and go silent, a disk that loses its last commits when the power goes,
// and a county that takes each ID once and answers with receipts that may be lost as well.
// All of it runs on virtual time, from a seed.
//
// It holds the machine at every step to what must always hold (slots, budgets, what may go
// where) and keeps nothing outside.
package world
