// Package source is what the ways in (rtmp, rtsp, srt, ts, whip, gb28181) share: who
// may publish, and where what comes is written. Each way is a room below; it takes its
// container apart and gives access units to a stream.Writer, which puts them right.
package source
