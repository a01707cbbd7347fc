package apitest

import (
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// Thresholds has the river's.
func (b *Box) Thresholds(id point.ID) []api.Threshold {
	if id != "river.level" {
		return nil
	}
	flood := text("hazard.flash_flood", "山洪", "Flash flood")
	return []api.Threshold{
		{Hazard: "flash-flood", HazardText: flood, Level: "prepare", LevelText: text("level.prepare", "准备转移", "get ready to leave"), Colour: "orange", Compares: "value", On: 101.2, Off: 100.9, Unit: "m"},
		{Hazard: "flash-flood", HazardText: flood, Level: "evacuate", LevelText: text("level.evacuate", "立即转移", "evacuate now"), Colour: "red", Compares: "value", On: 102.4, Off: 102.1, Unit: "m"},
	}
}
