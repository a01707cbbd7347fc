// Package drivertest holds what the tests of the drivers share: a pseudo
// terminal, slaves that misbehave on demand, a wire in memory for virtual time,
// and the conformance that every drivers.Registers passes. Only tests import
// it; it imports no driver.
//
// # Known faults
//
// The packages below the drivers have faults that the drivers answer for. Each
// has a test named for it; where the naive call fails on demand the same test
// shows it failing.
//
//	fault                                            test (package)                                            naive way shown
//	G1  late answer taken for another's               TestG1… (modbus), wire and pty                            yes, both
//	G2  slow exception cut short                      TestG2ASlowExceptionIsWhole (modbus)                      yes
//	G3  idle timer closes the port under a request    TestG3G11UnitsAreNeverMixedUp (modbus)                    no: a race; ours has no idle timer and runs under -race
//	G4  sleeps for the whole answer                   TestG4NothingSleepsForBytes (modbus)                      yes
//	G5  timeout begins after that sleep               TestG5OneDeadlineARequest (modbus)                        yes
//	G6  errors do not reopen the port                 TestG6APortThatComesBackIsUsedAgain (modbus)              yes
//	G7  late TCP answer puts out of step              TestG7… (modbus)                                          yes
//	G8  dead TCP connection stays                     TestG8ADeadConnectionIsReplaced (modbus)                  yes
//	G9  no context                                    conformance: "a context that ends wakes the caller…"      no: its interface takes none
//	G10 other function read as exception              TestG10AnotherFunctionIsNoException (modbus)              yes
//	G11 unit is a field of the shared handler         TestG3G11UnitsAreNeverMixedUp (modbus)                    no: a race
//	G12 a second serial stack below goburrow          TestOnlyOnePlaceKnowsEachLibrary (drivertest)             import test
//	G13 panic on odd frames                           FuzzRTUFraming, FuzzTCPFraming (modbus)                   no: v0.1.0 has the fix for its own framing
//	T1  read timeout in tenths of a second            TestT1TheReadTimeoutIsCoarse (serial)                     yes
//	T2  timeout looks like the end of the file        TestT2ATimeoutIsNoEnd (serial)                            yes
//	T3  Close hangs without a read timeout            TestT3… (serial)                                          no: it would leave a thread that never ends in the test; readTimeout is a constant
//	T4  hang-up reads as timeouts without end         TestT4APulledPortIsGone (serial)                          yes
//	T5  no RS-485 direction                           TestT5RS485IsSetOnTheSecondDescriptor (serial)            no: its Config has no field; a pty knows no direction either, so that the refusal and the kernel's struct are tested
//	T6  rates from a list only                        TestT6AnyRateCanBeSet (serial)                            by the list; see tarm.go
//	T7  no lock                                       TestT7APortHasOneHolder (serial)                          yes
//	T8  parity is not checked                         TestT8ParityIsChecked (serial)                            no: a pty makes no parity errors; the setting is tested
//	T9  end of transmission unknown                   TestT9NoAnswerBeforeTheLastBitHasLeft (modbus)            no: it has no call for it
//	T10 nothing discarded at open                     TestT10WhatCameBeforeOpenIsDropped (serial)               yes
//	T11 unmaintained                                  TestOnlyOnePlaceKnowsEachLibrary (drivertest)             import test
package drivertest
