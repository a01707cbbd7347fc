// Package post is the hub's post office: it takes letters from every gateway into
// UP, keeps the ledger of what was kept and taken in RCPT, and puts what the desk
// sends into DOWN.
//
// A letter is kept when JetStream has acknowledged it, and only then does a
// gateway answer its station. The ledger writes one receipt for each (station, id)
// by asking that the receipt's subject be empty, so that copies are told for as
// long as receipts are kept, over restarts and over hubs; the same id with another
// body is kept in UP, is not receipted and is called. The receipt is at the same
// time what the station hears.
//
// It opens no letter. Whether an alert is genuine is the station's to judge.
package post
