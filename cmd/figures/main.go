package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// measure is one run of the bench that gives one or more figures.
type measure struct {
	goals []goal
	// most bounds it, short and long.
	most, mostLong time.Duration
	run            func(*bench) error
	// quiet ones take next to no processor and wait a lot: they run beside each
	// other, after those that measure latencies.
	quiet bool
}

// measures is every figure, in the order of running.
var measures = []measure{
	{goals: []goal{{"alarm.cross_to_relay_ms_p99", atMost, 50}, {"alarm.cross_to_tone_ms_p99", atMost, 300}},
		most: 3 * time.Minute, mostLong: 14 * time.Minute, run: crossings},
	{goals: []goal{{"alarm.cross_to_relay_shared_ms_p99", atMost, 60}},
		most: 2 * time.Minute, mostLong: 12 * time.Minute, run: crossingsShared},
	{goals: []goal{{"alarm.stop_to_silence_ms_p99", atMost, 200}},
		most: 3 * time.Minute, mostLong: 12 * time.Minute, run: stops},
	{goals: []goal{{"alarm.stuck_silenced_s", atMost, 5}},
		most: time.Minute, mostLong: 5 * time.Minute, run: stuck},
	{goals: []goal{{"alarm.cold_start_to_armed_ms", atMost, 1000}},
		most: time.Minute, mostLong: 4 * time.Minute, run: coldStarts},
	{goals: []goal{{"alarm.fatal_elsewhere", atMost, 0}},
		most: 2 * time.Minute, mostLong: 6 * time.Minute, run: fatals},
	{goals: []goal{{"alarm.kill9_resume_lost", atMost, 0}},
		most: 3 * time.Minute, mostLong: 16 * time.Minute, run: kills},
	{goals: []goal{{"alarm.powercut_lost", atMost, 0}},
		most: 3 * time.Minute, mostLong: 20 * time.Minute, run: cuts},
	{goals: []goal{{"alarm.without_disk", atMost, 0}},
		most: 4 * time.Minute, mostLong: 20 * time.Minute, run: withoutDisk},
	{goals: []goal{{"alert.signed_cap_to_first_tone_ms_p99", atMost, 1000}},
		most: 4 * time.Minute, mostLong: 16 * time.Minute, run: alertTones},
	{goals: []goal{{"alert.forged_accepted", atMost, 0}},
		most: 5 * time.Minute, mostLong: 30 * time.Minute, run: alertForgeries},
	{goals: []goal{{"alert.genuine_refused", atMost, 0}},
		most: 5 * time.Minute, mostLong: 40 * time.Minute, run: alertGenuine},
	{goals: []goal{{"alert.queue_flood", atMost, 0}, {"alert.queue_rss_mib", atMost, 16}},
		most: 4 * time.Minute, mostLong: 6 * time.Minute, run: alertFlood},
	{goals: []goal{{"alert.parse_peak_mib", atMost, 32}},
		most: 3 * time.Minute, mostLong: 15 * time.Minute, run: alertPeak},
	{goals: []goal{{"alert.lifecycle_violations", atMost, 0}},
		most: 3 * time.Minute, mostLong: 30 * time.Minute, run: alertWalks},
	{goals: []goal{{"alert.fuzz_crashes", atMost, 0}},
		most: 10 * time.Minute, mostLong: 150 * time.Minute, run: alertFuzz},
	{goals: []goal{{"acquire.wrong_as_good", atMost, 0}},
		most: 2 * time.Minute, mostLong: 12 * time.Minute, run: lateAnswers, quiet: true},
	{goals: []goal{{"acquire.dead_unit_share", atLeast, 0.90}},
		most: 2 * time.Minute, mostLong: 4 * time.Minute, run: deadUnit, quiet: true},
	{goals: []goal{{"acquire.dead_unit_back_s", atMost, 10}},
		most: 3 * time.Minute, mostLong: 12 * time.Minute, run: deadUnitBack, quiet: true},
	{goals: []goal{{"acquire.requests_saved", atLeast, 10}},
		most: 2 * time.Minute, mostLong: 2 * time.Minute, run: requestsSaved, quiet: true},
	{goals: []goal{{"acquire.unplug_replug", atMost, 0}},
		most: 3 * time.Minute, mostLong: 10 * time.Minute, run: unplugReplug, quiet: true},
	// Alone, since they measure the processor and the wire.
	{goals: []goal{{"acquire.line_share_9600_4x100", atLeast, 0.97}, {"acquire.line_cpu_pct", atMost, 1.5}},
		most: 4 * time.Minute, mostLong: 10 * time.Minute, run: shareSlow},
	{goals: []goal{{"acquire.line_share_115200_4x10", atLeast, 0.80}, {"acquire.line_share_115200_over_best_peer", atLeast, 1}},
		most: 4 * time.Minute, mostLong: 10 * time.Minute, run: shareFast},
	{goals: []goal{{"acquire.tcp_50x100_1s_cpu_pct", atMost, 1}, {"acquire.tcp_50x100_rss_mib", atMost, 25}},
		most: 4 * time.Minute, mostLong: 10 * time.Minute, run: tcpSlow},
	{goals: []goal{{"acquire.tcp_50x100_100ms_cpu_pct", atMost, 4}},
		most: 4 * time.Minute, mostLong: 10 * time.Minute, run: tcpFast},
	{goals: []goal{{"acquire.fuzz", atMost, 0}},
		most: 10 * time.Minute, mostLong: 8 * time.Hour, run: fuzzing},
	{goals: []goal{{"acquire.new_sensor_lines", atMost, 40}},
		most: time.Minute, mostLong: time.Minute, run: newSensorLines, quiet: true},
	{goals: []goal{{"history.gb_written_year", atMost, 130}, {"history.query_ms_p99", atMost, 100}},
		most: 8 * time.Minute, mostLong: 60 * time.Minute, run: historyFlash},
	{goals: []goal{{"links.forged_accepted", atMost, 0}},
		most: time.Minute, mostLong: 10 * time.Minute, run: forgedOnLinks, quiet: true},
	{goals: []goal{{"links.red_over_beidou_ms", atMost, 3000}},
		most: 3 * time.Minute, mostLong: 12 * time.Minute, run: redsByBeidou},
	{goals: []goal{{"links.day_bytes_storm", atMost, 1800}, {"links.day_bytes_calm", atMost, 1250}, {"links.day_messages_storm", atMost, 24}, {"links.day_messages_calm", atMost, 16}},
		most: time.Minute, mostLong: time.Minute, run: daysOfTelemetry, quiet: true},
	{goals: []goal{{"links.failover_red_s", atMost, 0}, {"links.failover_alarm_s", atMost, 20}},
		most: 2 * time.Minute, mostLong: 10 * time.Minute, run: failovers, quiet: true},
	{goals: []goal{{"links.recovery_newest_s", atMost, 5}, {"links.recovery_backlog_s", atMost, 30}},
		most: 2 * time.Minute, mostLong: 10 * time.Minute, run: recoveries, quiet: true},
	{goals: []goal{{"links.delivered_of_10000", atLeast, 9999}, {"links.sounded_twice", atMost, 0}},
		most: 5 * time.Minute, mostLong: 30 * time.Minute, run: deliveries, quiet: true},
	{goals: []goal{{"links.powercut_lost", atMost, 0}},
		most: 3 * time.Minute, mostLong: 20 * time.Minute, run: cutLinks, quiet: true},
	{goals: []goal{{"links.idle_bytes_day_satellite", atMost, 102_400}},
		most: 10 * time.Minute, mostLong: 30 * time.Minute, run: idleSatellite, quiet: true},
	{goals: []goal{{"video.powercut_lost_s", atMost, 2}, {"video.powercut_unreadable", atMost, 0}},
		most: 4 * time.Minute, mostLong: 60 * time.Minute, run: filmCuts},
	{goals: []goal{{"video.talk_delay_ms_p99", atMost, 400}},
		most: 3 * time.Minute, mostLong: 10 * time.Minute, run: talkDelays},
	{goals: []goal{{"video.ttff_ms_median", atMost, 150}, {"video.live_edge_ms_median", atMost, 1500}, {"video.cpu_ms_per_viewer_s_720p", atMost, 3},
		{"video.rss_mib_per_viewer", atMost, 3}, {"video.latency_ms_p99", atMost, 30}, {"video.cpu_vs_best_peer", atMost, 0.9}},
		most: 5 * time.Minute, mostLong: 20 * time.Minute, run: viewers720},
	{goals: []goal{{"video.cpu_ms_per_viewer_s_1080p", atMost, 5}, {"video.lost_1080p_default_buffers", atMost, 0}},
		most: 2 * time.Minute, mostLong: 10 * time.Minute, run: viewers1080},
	{goals: []goal{{"video.ladder_gap_s", atMost, 3}},
		most: 3 * time.Minute, mostLong: 8 * time.Minute, run: ladderGaps},
	{goals: []goal{{"video.alarm_path_effect_ms", atMost, 10}},
		most: 3 * time.Minute, mostLong: 20 * time.Minute, run: alarmBesideVideo},
	{goals: []goal{{"video.fuzz_crashes", atMost, 0}},
		most: 8 * time.Minute, mostLong: 7 * time.Hour, run: videoFuzz},
	{goals: []goal{{"page.routes_without_role_test", atMost, 0}},
		most: time.Minute, mostLong: time.Minute, run: routesHeld, quiet: true},
	{goals: []goal{{"page.config_lost", atMost, 0}},
		most: 4 * time.Minute, mostLong: 25 * time.Minute, run: changesKilled},
	{goals: []goal{{"page.alarm_path_effect_ms", atMost, 10}},
		most: 6 * time.Minute, mostLong: 30 * time.Minute, run: alarmBesidePage},
	{goals: []goal{{"page.rss_mib", atMost, 50}},
		most: 4 * time.Minute, mostLong: 8 * time.Minute, run: pageMemory},
	{goals: []goal{{"page.axe_violations", atMost, 0}, {"page.targets_under_44px", atMost, 0}, {"page.scroll_320", atMost, 0},
		{"page.foreign_requests", atMost, 0}, {"page.missing_strings", atMost, 0}, {"page.first_load_kb_gz", atMost, 120}, {"page.first_data_s", atMost, 3}},
		most: 6 * time.Minute, mostLong: 15 * time.Minute, run: consoleSeen},
	{goals: []goal{{"image.boot_to_armed_s", atMost, 8}, {"image.hil_cross_to_tone_s", atMost, 1.5}, {"image.alarm_rss_mib", atMost, 120}},
		most: 10 * time.Minute, mostLong: 30 * time.Minute, run: poles},
	{goals: []goal{{"image.size_mib", atMost, 40}, {"image.delta_mib", atMost, 2.5}},
		most: 15 * time.Minute, mostLong: 15 * time.Minute, run: imageSizes},
	{goals: []goal{{"image.update_matrix", atMost, 0}},
		most: 30 * time.Minute, mostLong: 150 * time.Minute, run: updateMatrix},
	{goals: []goal{{"image.usb_update", atMost, 0}},
		most: 15 * time.Minute, mostLong: 15 * time.Minute, run: usbUpdate},
	{goals: []goal{{"image.watchdog_s", atMost, 30}},
		most: 10 * time.Minute, mostLong: 20 * time.Minute, run: hung},
	{goals: []goal{{"image.data_partition", atMost, 0}},
		most: 30 * time.Minute, mostLong: 4 * time.Hour, run: spoiled},
	// Alone, since boxes beside it would share its pages.
	{goals: []goal{{"edged.rss_mib", atMost, 40}},
		most: time.Minute, mostLong: 3 * time.Minute, run: memory},
	{goals: []goal{{"edged.binary_mib", atMost, 36}},
		most: 8 * time.Minute, mostLong: 8 * time.Minute, run: binary},
}

func main() {
	edged := flag.String("edged", "out/bin/edged", "the binary that is measured")
	only := flag.String("only", "", "only figures whose name begins so")
	long := flag.Bool("long", false, "in full; else a shortened run, marked scaled")
	seed := flag.Int64("seed", 0, "seed of what is random; 0 takes one by the clock")
	keep := flag.Bool("keep", false, "keep the working folders and the box's logs")
	flag.Parse()
	ahead()
	noiseIfAsked()
	readAsPeerIfAsked()
	openIfAsked()
	filmIfAsked()
	publishIfAsked()
	visitIfAsked()
	os.Exit(run(*edged, *only, *long, *keep, *seed))
}

func run(edged, only string, long, keep bool, seed int64) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	path, err := filepath.Abs(edged)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "figures: no edged to measure:", err)
		return 2
	}
	if seed == 0 {
		seed = time.Now().UnixNano() % 1_000_000
	}
	out := &printer{enc: json.NewEncoder(os.Stdout), only: only, long: long, seed: seed, begun: time.Now()}
	chosen := slices.DeleteFunc(slices.Clone(measures), func(m measure) bool {
		return !slices.ContainsFunc(m.goals, func(g goal) bool { return strings.HasPrefix(g.figure, only) })
	})
	if len(chosen) == 0 {
		fmt.Fprintf(os.Stderr, "figures: no figure begins with %q\n", only)
		return 2
	}
	one := func(m measure) {
		b := &bench{edged: path, long: long, seed: seed, keep: keep, name: m.goals[0].figure, out: out, goals: m.goals}
		if err := b.do(ctx, cmp.Or(choose(long, m.mostLong, 0), m.most), m.run); err != nil {
			b.failed(err)
		}
	}
	// What is quiet runs in one go, at the place of the first of them.
	together := false
	for _, m := range chosen {
		switch {
		case ctx.Err() != nil:
		case !m.quiet:
			one(m)
		case !together:
			together = true
			var wg sync.WaitGroup
			for _, q := range chosen {
				if q.quiet {
					wg.Go(func() { one(q) })
				}
			}
			wg.Wait()
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "figures: interrupted")
		return 130
	}
	if out.unmeasured > 0 {
		return 1
	}
	return 0
}

func choose[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// do gives the measure a working folder and a bound in time.
func (b *bench) do(ctx context.Context, most time.Duration, f func(*bench) error) (err error) {
	if b.dir, err = os.MkdirTemp("", "figures-"); err != nil {
		return err
	}
	defer func() {
		if b.keep {
			b.log("kept %s", b.dir)
			return
		}
		os.RemoveAll(b.dir)
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("not done within %v", most))
	defer cancel()
	b.ctx, b.begun = ctx, time.Now()
	b.log("begins")
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the bench broke: %v", r)
		}
		if err != nil && ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		b.log("ends after %v", time.Since(b.begun).Round(100*time.Millisecond))
	}()
	return f(b)
}
