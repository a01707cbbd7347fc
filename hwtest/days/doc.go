// Package days is two days of a village's ten sensors, one row every five minutes
// (288 rows, 2,880 readings a day): what the narrow links have to carry. Like all of
// the bench it imports nothing of the box.
//
// The rows are made, not recorded: no record of a whole station that may be published
// was at hand. make.go makes them from plain physics with noise as gauges have it, from a
// fixed seed, so that anyone can see how they came about and make others; storm.csv and calm.csv are what
// it made, and what is measured. Values are whole numbers in the resolution in which a
// station reports them:
//
//	rain      tips of a 0.5 mm bucket, added up since the morning
//	river     water level at the bridge, cm (radar; waves and rain on the beam)
//	pool      water level at the weir below, cm (pressure; damped)
//	velocity  of the surface, 0.01 m/s (radar; the noisiest of all)
//	soil      moisture at 20 cm, 0.1 %
//	pore      ground water in the slope, cm
//	air       0.1 °C
//	humidity  0.1 %
//	wind      mean of five minutes, 0.1 m/s
//	battery   0.01 V
//
// storm is a typhoon's rain on a small catchment: 182 mm in 24 h, 34.5 mm of it in the worst half
// hour, in three bands with a rising rate before and a slower falling one after each peak (the shape of
// Keifer and Chu, 1957), wind up to 28 m/s, a fall of 5 °C, no sun on the panel. The river answers
// through two linear reservoirs in series (Nash, 1957) and rises 3.0 m.
// calm is a clear day: sun, a night of dew, a breeze in the afternoon, a river that sinks
// by 3 cm, no rain.
//
// How hard they are: delta and one best Rice parameter a channel over the whole day, without any
// header, takes 3.65 bits a reading in the storm and 2.87 on the calm day (the test prints it). On the made days
// from which the goals for a day's bytes come the same method took 4.3 and 2.8: this calm day is as
// hard, this storm is easier.
package days
