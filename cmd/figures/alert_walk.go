package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/decide/alert/book/walk"
)

// alertWalks counts random histories (alerts, updates, cancels, copies, forgeries,
// clocks that jump, power cuts) in which the book of alerts did something else than
// the model that is written from its documentation.
func alertWalks(b *bench) error {
	want := b.n(40_000, 400_000)
	most := choose(b.long, 25*time.Minute, 90*time.Second)
	const streams = 2
	var reports [streams]walk.Report
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			reports[i] = walk.Run(uint64(b.seed)*streams+uint64(i), want/streams, func() bool { return b.ctx.Err() != nil || time.Since(b.begun) > most })
		})
	}
	wg.Wait()
	done, broke, seen := 0, 0, map[string]int{}
	for _, r := range reports {
		done, broke = done+r.Done, broke+r.Violations
		for k, n := range r.Seen {
			seen[k] += n
		}
		if r.First != nil {
			b.log("BROKE: %v", r.First)
		}
	}
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	var said []string
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		said = append(said, fmt.Sprintf("%s %d", k, seen[k]))
	}
	b.tellWhy("alert.lifecycle_violations", float64(broke), done, fmt.Sprintf("of %d histories %d in %v; seen: %s", want, done, time.Since(b.begun).Round(time.Second), strings.Join(said, ", ")))
	return nil
}
