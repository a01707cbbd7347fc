package acceptance

import "time"

// What of the page's answers the steps read (its API is described at /api/v1/openapi.json).

type text struct{ ZH, EN string }

func (t text) String() string {
	if t.EN == "" || t.EN == t.ZH {
		return t.ZH
	}
	return t.ZH + " · " + t.EN
}

type session struct{ Account, Role string }

type status struct {
	Version   string    `json:"version"`
	Site      string    `json:"site"`
	Name      text      `json:"name"`
	Armed     bool      `json:"armed"`
	NotArmed  []text    `json:"not_armed"`
	Started   time.Time `json:"started"`
	Boot      string    `json:"boot"`
	Trust     string    `json:"clock_trust"`
	Now       time.Time `json:"now"`
	Level     string    `json:"level"`
	LevelText text      `json:"level_text"`
	Journal   text      `json:"journal"`
	JournalOK bool      `json:"journal_ok"`
}

type fault struct {
	Thing string `json:"thing"`
	Name  text   `json:"name"`
	Why   text   `json:"why"`
}

type reading struct {
	Point   string   `json:"point"`
	Name    text     `json:"name"`
	Value   *float64 `json:"value"`
	Unit    string   `json:"unit"`
	Quality string   `json:"quality"`
	Why     *text    `json:"why"`
}

type readiness struct {
	Sounds  string `json:"sounds"`
	Line    text   `json:"line"`
	Outputs []struct {
		Output string `json:"output"`
		Name   text   `json:"name"`
		Able   bool   `json:"able"`
		Why    *text  `json:"why"`
	} `json:"outputs"`
	Power struct {
		Line text  `json:"line"`
		How  *text `json:"how"`
	} `json:"power"`
}

type links struct {
	Links []struct {
		Name      string `json:"name"`
		NameText  text   `json:"name_text"`
		State     string `json:"state"`
		StateText text   `json:"state_text"`
		Why       text   `json:"why"`
	} `json:"links"`
	Waiting int `json:"waiting"`
}

type release struct {
	Version string `json:"version"`
	Number  int64  `json:"number"`
}

type software struct {
	Why     *text         `json:"why"`
	Phase   string        `json:"phase"`
	Running release       `json:"running"`
	Left    time.Duration `json:"left_ns"`
	Reason  *text         `json:"reason"`
	Barred  *text         `json:"barred"`
}

type soundTest struct {
	ID       string   `json:"id"`
	State    string   `json:"state"`
	Beat     uint64   `json:"beat"`
	Sounded  []string `json:"sounded"`
	Measured []string `json:"measured"`
	Failed   []string `json:"failed"`
	Why      *text    `json:"why"`
}

type identity struct {
	Station string `json:"station"`
	Key     string `json:"key"`
}

type record struct {
	Seq  int64  `json:"seq"`
	Kind string `json:"kind"`
}

type sheet struct {
	Number       int  `json:"number"`
	Commissioned bool `json:"commissioned"`
	Left         int  `json:"left"`
	Steps        []struct {
		ID      string     `json:"id"`
		Name    text       `json:"name"`
		Applies bool       `json:"applies"`
		State   string     `json:"state"`
		Reason  string     `json:"reason"`
		Who     string     `json:"who"`
		At      *time.Time `json:"at"`
		Things  []struct {
			Name text `json:"name"`
			Take *struct {
				Good bool `json:"good"`
				Text text `json:"text"`
			} `json:"take"`
		} `json:"things"`
		Missing []text `json:"missing"`
	} `json:"steps"`
	NoPDF *text `json:"no_pdf"`
}
