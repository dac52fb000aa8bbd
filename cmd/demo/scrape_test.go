// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	at := time.UnixMilli(1700000001000)
	want := []row{
		{
			partitionKey: partitionKey{"billing", "payments", 0},
			committed:    new(int64(1234567)), end: new(int64(1234567)), lag: new(int64(0)), lagTime: new(time.Duration(0)),
			service: "billing", pid: "4713", clientID: "billing-1", at: at, // no service.name: the executable
		},
		{
			partitionKey: partitionKey{"checkout", "orders", 0}, // not the other cluster's, not the broker's process
			committed:    new(int64(1204)), end: new(int64(1207)), lag: new(int64(3)), lagTime: new(87100 * time.Microsecond),
			service: "checkout-fast", pid: "4711", clientID: "checkout-fast", at: at.Add(-500 * time.Millisecond),
		},
		{
			partitionKey: partitionKey{"checkout", "orders", 1},
			committed:    new(int64(388)), end: new(int64(1211)), lag: new(int64(823)), lagTime: new(24680 * time.Millisecond),
			service: "checkout-slow", pid: "4712", clientID: "checkout-slow", at: at,
		},
		{partitionKey: partitionKey{"checkout", "orders", 2}, committed: new(int64(9)), at: at},
		{partitionKey: partitionKey{"checkout", "orders", 10}, committed: new(int64(7)), at: at},
	}
	got := sample(t)
	if !reflect.DeepEqual(got.rows, want) {
		t.Errorf("got %+v\nwant %+v", got.rows, want)
	}
	if got.totalLag() != 826 {
		t.Errorf("total lag %d", got.totalLag())
	}
}

func TestScrapeErrors(t *testing.T) {
	answer, code := "", http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		w.Write([]byte(answer))
	}))
	defer server.Close()
	try := func() (snapshot, error) { return scrape(t.Context(), server.URL, "demo-1", 0) }

	if s, err := try(); err != nil || len(s.rows) != 0 {
		t.Errorf("nothing yet: %v, %v", s, err)
	}
	answer = "kafka_consumer_group_offset{group=\"checkout\" 12\n"
	if _, err := try(); err == nil || !strings.Contains(err.Error(), "text format") {
		t.Errorf("broken text: %v", err)
	}
	answer, code = "", http.StatusServiceUnavailable
	if _, err := try(); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("refused: %v", err)
	}
}

// all is a snapshot of every partition of the demo at one moment.
func all(at time.Time, lag int64) (s snapshot) {
	for group, topic := range map[string]string{checkoutGroup: ordersTopic, billingGroup: paymentsTopic} {
		for p := range map[string]int32{ordersTopic: ordersPartitions, paymentsTopic: paymentsPartitions}[topic] {
			s.rows = append(s.rows, row{partitionKey: partitionKey{group, topic, p}, committed: new(int64(10)), end: new(10 + lag), lag: &lag, at: at})
		}
	}
	return s
}

func TestCompleteSince(t *testing.T) {
	quiet := time.Now()
	good := all(quiet.Add(time.Second), 5)
	if !good.completeSince(quiet) {
		t.Error("all rows, all newer: not complete")
	}
	for what, spoil := range map[string]func(*snapshot){
		"a row is missing":   func(s *snapshot) { s.rows = s.rows[1:] },
		"a lag is missing":   func(s *snapshot) { s.rows[3].lag = nil },
		"an offset is older": func(s *snapshot) { s.rows[3].at = quiet },
	} {
		s := all(quiet.Add(time.Second), 5)
		spoil(&s)
		if s.completeSince(quiet) {
			t.Errorf("%s, and it counts as complete", what)
		}
	}
	foreign := snapshot{rows: append(good.rows, row{partitionKey: partitionKey{"someone", "else", 0}})}
	if !foreign.own().completeSince(quiet) {
		t.Error("another group's row without lag holds the demo up")
	}
}

func TestCompare(t *testing.T) {
	answer := func() map[partitionKey]truth {
		m := map[partitionKey]truth{}
		for _, r := range all(time.Time{}, 5).rows {
			m[r.partitionKey] = truth{committed: 10, end: 15, lag: 5}
		}
		return m
	}
	first := partitionKey{checkoutGroup, ordersTopic, 0}
	if v := compare(answer(), all(time.Time{}, 5)); !v.ok() || v.String() != "9 of 9 partitions equal to the broker's answer" {
		t.Error(v)
	}
	if v := compare(nil, snapshot{}); v.ok() {
		t.Error("nothing to compare counts as proven")
	}
	for want, spoil := range map[string]func(map[partitionKey]truth, *snapshot){
		"committed 10, broker 9":                func(m map[partitionKey]truth, _ *snapshot) { m[first] = truth{9, 15, 5} },
		"lag 5, broker 6":                       func(m map[partitionKey]truth, _ *snapshot) { m[first] = truth{10, 15, 6} },
		"end 15, broker 16":                     func(m map[partitionKey]truth, _ *snapshot) { m[first] = truth{10, 16, 5} },
		"shown, but the broker knows no offset": func(m map[partitionKey]truth, _ *snapshot) { delete(m, first) },
		"not shown, broker committed 10, lag 5": func(_ map[partitionKey]truth, s *snapshot) { s.rows = remove(s.rows, first) },
		"lag not shown, broker 5":               func(_ map[partitionKey]truth, s *snapshot) { at(s.rows, first).lag = nil },
		"committed not shown, broker 10; lag 5, broker 500": func(m map[partitionKey]truth, s *snapshot) {
			m[first] = truth{10, 15, 500}
			at(s.rows, first).committed = nil
		},
	} {
		m, s := answer(), all(time.Time{}, 5)
		spoil(m, &s)
		if v := compare(m, s); v.ok() || !strings.Contains(v.String(), first.String()+": "+want) {
			t.Errorf("want %q in %q", want, v)
		}
	}
	s := all(time.Time{}, 5)
	at(s.rows, first).end = nil // need not be shown
	if v := compare(answer(), s); !v.ok() {
		t.Error(v)
	}
}

func at(rows []row, key partitionKey) *row {
	for i := range rows {
		if rows[i].partitionKey == key {
			return &rows[i]
		}
	}
	return nil
}

func remove(rows []row, key partitionKey) (rest []row) {
	for _, r := range rows {
		if r.partitionKey != key {
			rest = append(rest, r)
		}
	}
	return rest
}
