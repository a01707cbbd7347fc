package main

import (
	"net/http"

	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/page"
)

// routesHeld tries every way into the served surface as every role, on a village in alarm:
// operations of the API as its document lists them, and pages as they were registered.
func routesHeld(b *bench) error {
	box := apitest.New(apitest.Alarm)
	pages, err := page.New(box, nil, page.Opts{})
	if err != nil {
		return err
	}
	s, err := api.New(box, api.Opts{Pages: pages, Video: http.NotFoundHandler()})
	if err != nil {
		return err
	}
	bad := apitest.Unheld(box, s)
	for _, u := range bad {
		b.log("not held to its role: %s", u)
	}
	b.tell("page.routes_without_role_test", float64(len(bad)), len(s.Routes()))
	return nil
}
