// Package output owns everything that sounds or flashes: relays, the
// contactors in series with them, amplifiers, loudspeakers, strobes. No other
// room of the firmware may touch a drivers.Output or a drivers.Player (a test
// holds that).
//
// It obeys only an order.Order. It never decides who sounds (announce does),
// never waits for the journal, and never takes a coil that was read back for a
// contact that has closed: what sounds is measured by an independent input or
// by the load's current, and where there is no such measurement the receipt
// says that it was not measured.
//
// Each output has one goroutine that owns its state and one more for each
// device that it drives, so that a device that does not answer delays neither
// another output nor, on its own output, the contactor that silences it.
//
// Sources: EN 50849
// as in domain/warning.md 3.2, receipts 6.3 there.
package output
