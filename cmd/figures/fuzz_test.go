package main

import "testing"

func TestTheEndOfTheFuzzingTimeIsNoCrash(t *testing.T) {
	const ran = "fuzz: elapsed: 1m0s, execs: 377914 (0/sec), new interesting: 83 (total: 310)\n"
	for out, over := range map[string]bool{
		ran + "--- FAIL: FuzzMend (60.08s)\n    context deadline exceeded\nFAIL\n": true,
		"--- FAIL: FuzzMend (60.08s)\n    context deadline exceeded\nFAIL\n":       false, // it tried nothing
		ran + "--- FAIL: FuzzMend (3.01s)\n    --- FAIL: FuzzMend (0.00s)\n        mend_test.go:9: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzMend/1\nFAIL\n": false,
		ran + "--- FAIL: FuzzMend (3.01s)\n    panic: index out of range\n    context deadline exceeded\nFAIL\n":                                                                                   false,
		ran + "PASS\n": false,
	} {
		if outOfTime(out) != over {
			t.Errorf("%v for\n%s", !over, out)
		}
	}
}
