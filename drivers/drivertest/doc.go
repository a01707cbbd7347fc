// Package drivertest holds what the tests of the drivers share: a pseudo
// terminal, slaves that misbehave on demand, a wire in memory for virtual time,
// and the conformance that every drivers.Registers passes. Only tests import
// it; it imports no driver.
package drivertest
