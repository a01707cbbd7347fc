package days

import (
	"math"
	"math/rand/v2"
)

// weather is what a day is made from.
type weather struct {
	seed  uint64
	bands []band // of rain
	// air temperature, °C: mean, half its swing, fall while it rains
	mean, swing, cooled float64
	cloud               float64 // share of the sun that is missing
	breeze, gusts       float64 // m/s
}

// band is one band of rain: its peak's hour, its rate there in mm/h, and how long it takes to come and to go, in hours.
type band struct{ at, peak, rise, fall float64 }

// Storm and Calm are how the two days are made.
var (
	stormWeather = weather{seed: 20230729, cloud: 0.92, breeze: 7, gusts: 0.17, mean: 25.5, swing: 1.0, cooled: 6,
		bands: []band{{6.2, 26, 0.8, 1.4}, {13.6, 72, 0.6, 1.1}, {17.8, 34, 0.6, 1.6}}}
	calmWeather = weather{seed: 20231103, cloud: 0.05, breeze: 2.4, gusts: 0.2, mean: 19, swing: 6}
)

// make plays a day minute by minute and reads every gauge each fifth.
func (w weather) make() Day {
	r := rand.New(rand.NewPCG(w.seed, 1))
	noise := func(sigma float64) float64 { return r.NormFloat64() * sigma }
	var d Day
	// Reservoirs in mm of water over the catchment, and slow states that noise walks.
	quick, slow, base := 0.0, 0.0, 6.0
	soil, pore, bucket, tips := 27.4, -212.0, 0.0, 0
	volts, wind, gust, cell := 12.62, w.breeze, 0.0, 0.0
	pool, wet := 0.0, 0.0
	for m := range rows * step {
		hour := float64(m) / 60
		sun := max(0, math.Sin((hour-6)*math.Pi/12)) * (1 - w.cloud)
		rate := 0.0
		for _, b := range w.bands {
			x := (hour - b.at) / b.rise
			if hour > b.at {
				x = (hour - b.at) / b.fall
			}
			rate += b.peak * math.Exp(-math.Abs(x)*1.25)
		}
		// Cells within the band: the rate of a minute is log-normal around its shape.
		cell = 0.9*cell + noise(0.22)
		rain := rate * math.Exp(cell-0.12) / 60
		if rate < 0.35 {
			rain = 0
		}
		bucket += rain / 0.5
		for ; bucket >= 1; bucket-- {
			tips++
		}
		wet += (min(1, rain*60/8) - wet) / 90
		// Runoff grows with the soil's moisture; two reservoirs of 35 minutes.
		runoff := rain * (0.25 + 0.65*min(1, max(0, (soil-27)/12)))
		quick += runoff - quick/35
		slow += quick/35 - slow/35
		base -= base / 60000
		flow := slow/35*60 + base // mm/h
		level := 1.42 * math.Pow(flow/6, 1.0)
		soil += (rain-runoff)*0.16*(1-soil/44) - 0.00035*(soil-20)/7 - sun*0.0006
		pore += (rain-runoff)*1.9 - (pore+215)*0.0004
		pool += (level - pool) / 55
		if m == 0 {
			pool = level
		}
		air := w.mean + w.swing*math.Sin((hour-9)*math.Pi/12) - w.cooled*wet
		gust = 0.85*gust + noise(w.gusts)
		target := w.breeze * (0.35 + 0.65*max(sun, w.cloud)) * (1 + min(1.4, rate/30))
		wind += (target*math.Exp(gust) - wind) / 3
		volts += sun*0.0042 - 0.00055 - (volts-12.6)*0.003
		humidity := min(99.4, 97-4.1*(air-(w.mean-w.swing))*(1-wet)*(1-0.8*w.cloud)+2*wet)
		if m%step != 0 {
			continue
		}
		velocity := 0.52 * math.Pow(level/1.42, 0.55)
		d.Rows = append(d.Rows, [Sensors]int64{
			int64(tips),
			whole(level*100 + noise(0.6+2.6*min(1, flow/18)+0.6*min(1, rate/30))),
			whole(pool*100*0.83 + noise(0.45+1.3*min(1, flow/18))),
			whole(velocity*100 + noise(1.2+velocity*5)),
			whole(soil*10 + noise(0.35)),
			whole(pore + noise(0.4)),
			whole(air*10 + noise(0.8)),
			whole(humidity*10 + noise(2.4)),
			max(0, whole(wind*10)),
			whole(volts*100 + noise(0.7)),
		})
	}
	return d
}

func whole(v float64) int64 { return int64(math.Round(v)) }
