// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// A definition with one of everything that Kafka's own have.
const newestRequest = `// A "licence" header
// of two lines.
{
  "apiKey": 90, "type": "request", "listeners": ["broker"], "name": "TryRequest", // a "comment" at the end
  "latestVersionUnstable": true,
  "validVersions": "1-3", "flexibleVersions": "2+",
  "fields": [
    { "name": "Url", "type": "string", "versions": "0+", "default": "a \" http://host", "ignorable": true,
      "about": "Not a // comment." },
    { "name": "Old", "type": "int8", "versions": "0" },
    { "name": "Items", "type": "[]Item", "versions": "0+", "nullableVersions": "0+" },
    { "name": "Cursor", "type": "Cursor", "versions": "2+", "nullableVersions": "2+", "default": "null", "fields": [
      { "name": "Position", "type": "int64", "versions": "0+", "mapKey": true }
    ]},
    { "name": "Spare", "type": "[]Item", "versions": "1-2" },
    { "name": "Hint", "type": "bytes", "versions": "2+", "tag": 1, "taggedVersions": "2+", "zeroCopy": true },
    { "name": "Quoted", "type": "uuid", "versions": "3", "tag": "2", "taggedVersions": "3" }
  ],
  "commonStructs": [
    { "name": "Item", "versions": "0+", "about": "Shared.", "fields": [
      { "name": "Id", "type": "int32", "versions": "0-2", "entityType": "brokerId" },
      { "name": "Notes", "type": "[]string", "versions": "3+" }
    ]}
  ]
}`

const newestFacts = `request 90 TryRequest 1-3 flexible=2-3
	Url string
	Items []struct nullable=1-3
		Id int32 versions=1-2
		Notes []string versions=3
	Cursor struct versions=2-3 nullable=2-3
		Position int64
	Spare []struct versions=1-2
		Id int32
	Hint bytes versions=2-3 tag=1 tagged=2-3
	Quoted uuid versions=3 tag=2 tagged=3
`

const olderRequest = `{ "apiKey": 90, "type": "request", "name": "TryRequest", "validVersions": "0-2", "flexibleVersions": "2+",
  "deprecatedVersions": "0", "fields": [
    { "name": "Url", "type": "string", "versions": "0+" },
    { "name": "Old", "type": "int8", "versions": "0" },
    { "name": "Hint", "type": "bytes", "versions": "0+", "tag": 1, "taggedVersions": "2+" } ] }`

const droppedRequest = `{ "apiKey": 5, "type": "request", "name": "GoneRequest", "validVersions": "none" }`

const olderDroppedRequest = `{ "apiKey": 5, "type": "request", "name": "GoneRequest", "validVersions": "0-1",
  "flexibleVersions": "none", "fields": [] }`

const header = `{ "type": "header", "name": "RequestHeader", "validVersions": "1-2", "flexibleVersions": "2+", "fields": [
    { "name": "ClientId", "type": "string", "versions": "1+", "nullableVersions": "1+", "flexibleVersions": "none" } ] }`

const mergedFacts = `request -1 RequestHeader 1-2 flexible=2
	ClientId string nullable=1-2 flexible=none
request 5 GoneRequest 0-1
request 90 TryRequest 0
	Url string
	Old int8
	Hint bytes
` + newestFacts

func TestParseDefinition(t *testing.T) {
	m, err := parseDefinition([]byte(newestRequest))
	if err != nil {
		t.Fatal(err)
	}
	if got := schema.FormatFacts([]schema.Message{m}); got != newestFacts {
		t.Errorf("got:\n%swant:\n%s", got, newestFacts)
	}
}

func TestParseDefinitionRejects(t *testing.T) {
	message := func(rest string) string {
		return `{ "apiKey": 1, "type": "request", "name": "A", "validVersions": "0-3", "flexibleVersions": "2+", ` + rest + ` }`
	}
	field := func(rest string) string {
		return message(`"fields": [ { "name": "F", "versions": "0+", ` + rest + ` } ]`)
	}
	for _, test := range []struct{ text, want string }{
		{"", "EOF"},
		{message(`"fields": []`) + "{}", "something follows"},
		{message(`"shape": "round"`), `unknown field "shape"`},
		{field(`"type": "int8", "shape": "round"`), `unknown field "shape"`},
		{`{ "apiKey": 1, "type": "header", "name": "A", "validVersions": "0" }`, "apiKey"},
		{`{ "type": "request", "name": "A", "validVersions": "0" }`, "apiKey"},
		{`{ "apiKey": 1, "type": "request", "name": "A" }`, "validVersions"},
		{`{ "apiKey": 1, "type": "request", "name": "A", "validVersions": "3-1" }`, "validVersions"},
		{`{ "apiKey": 1, "type": "request", "name": "A", "validVersions": "0" }`, "flexibleVersions"},
		{field(`"type": "Item"`), "F: type Item is neither"},
		{field(`"type": "[]int128"`), "F: type []int128 is neither"},
		{field(`"type": "int8", "fields": [ { "name": "G", "type": "int8", "versions": "0+" } ]`), "F: type int8 with fields"},
		{field(`"type": "int8", "nullableVersions": "x"`), "F: nullableVersions"},
		{field(`"type": "int8", "tag": 1`), "tag and taggedVersions"},
		{field(`"type": "int8", "taggedVersions": "2+"`), "tag and taggedVersions"},
		{field(`"type": "int8", "tag": 1, "taggedVersions": "x"`), "F: taggedVersions"},
		{field(`"type": "int8", "tag": -1, "taggedVersions": "2+"`), "F: tag"},
		{field(`"type": "int8", "tag": 1, "taggedVersions": "1+"`), "the message is flexible in"},
		{field(`"type": "string", "flexibleVersions": "3+"`), "only none is understood"},
		{message(`"fields": [ { "name": "F", "type": "int8" } ]`), "F: versions"},
		{message(`"fields": [ { "name": "F", "type": "S", "versions": "0+" } ],
			"commonStructs": [ { "name": "S", "versions": "1+", "fields": [ { "name": "G", "type": "int8", "versions": "1+" } ] } ]`),
			"its struct S"},
		{message(`"fields": [ { "name": "F", "type": "S", "versions": "0+" } ],
			"commonStructs": [ { "name": "S", "versions": "0+", "fields": [ { "name": "G", "type": "S", "versions": "0+" } ] } ]`),
			"deep"},
	} {
		m, err := parseDefinition([]byte(test.text))
		switch {
		case err == nil:
			t.Errorf("%s: no error, got %+v", test.text, m)
		case !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: error %q, want one with %q", test.text, err, test.want)
		}
	}
}

func TestParseVersions(t *testing.T) {
	for s, want := range map[string]schema.VersionRange{
		"none": schema.None, "0": {Min: 0, Max: 0}, "7": {Min: 7, Max: 7}, "2-10": {Min: 2, Max: 10}, "3+": {Min: 3, Max: 32767},
	} {
		if got, err := parseVersions(s); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "+", "-", "-1", "1-", "3-2", "a", "1-2+", "32768"} {
		if got, err := parseVersions(s); err == nil {
			t.Errorf("%q: no error, got %v", s, got)
		}
	}
}

func TestSubtract(t *testing.T) {
	type ranges = []schema.VersionRange
	for _, test := range []struct {
		a, b schema.VersionRange
		want ranges
	}{
		{schema.VersionRange{Min: 0, Max: 9}, schema.VersionRange{Min: 2, Max: 10}, ranges{{Min: 0, Max: 1}}},
		{schema.VersionRange{Min: 0, Max: 9}, schema.VersionRange{Min: 0, Max: 9}, nil},
		{schema.VersionRange{Min: 0, Max: 9}, schema.VersionRange{Min: 3, Max: 5}, ranges{{Min: 0, Max: 2}, {Min: 6, Max: 9}}},
		{schema.VersionRange{Min: 0, Max: 0}, schema.VersionRange{Min: 1, Max: 2}, ranges{{Min: 0, Max: 0}}},
		{schema.VersionRange{Min: 3, Max: 4}, schema.VersionRange{Min: 1, Max: 2}, ranges{{Min: 3, Max: 4}}},
	} {
		if got := subtract(test.a, test.b); !slices.Equal(got, test.want) {
			t.Errorf("%v without %v: %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// From two jars to the file, twice: the same bytes, whatever the order of the files in the jar.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	newest := filepath.Join(dir, "kafka-clients-2.0.jar")
	older := filepath.Join(dir, "kafka-clients-1.0.jar")
	out := filepath.Join(dir, "facts.txt")
	writeJar(t, older, "OldRequest.json", olderRequest, "GoneRequest.json", olderDroppedRequest)
	files := []string{"TryRequest.json", newestRequest, "GoneRequest.json", droppedRequest, "RequestHeader.json", header,
		"SnapshotHeaderRecord.json", "not read"}
	want := "# SPDX-License-Identifier: Apache-2.0\n" +
		"# Code generated by internal/schema/gen from kafka-clients 2.0 and 1.0. DO NOT EDIT.\n" +
		"# The format is that of FormatFacts in facts.go.\n" + mergedFacts
	for range 2 {
		writeJar(t, newest, files...)
		if err := run(newest, older, out); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("got:\n%swant:\n%s", got, want)
		}
		files = append(files[4:], files[:4]...)
	}
}

func TestRunFails(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "facts.txt")
	sound, empty, broken, twice := filepath.Join(dir, "1.jar"), filepath.Join(dir, "2.jar"), filepath.Join(dir, "3.jar"), filepath.Join(dir, "4.jar")
	writeJar(t, sound, "TryRequest.json", newestRequest)
	writeJar(t, empty, "README.md", "nothing")
	writeJar(t, broken, "TryRequest.json", "{")
	writeJar(t, twice, "ARequest.json", newestRequest, "BRequest.json", newestRequest)
	for _, test := range []struct{ newest, older, want string }{
		{filepath.Join(dir, "none.jar"), sound, "none.jar"},
		{sound, empty, "2.jar: no message definitions"},
		{broken, sound, "3.jar: common/message/TryRequest.json"},
		{twice, sound, "contradict themselves"},
	} {
		if err := run(test.newest, test.older, out); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %s: error %v, want one with %q", test.newest, test.older, err, test.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a failed run has written the file")
	}
}

func writeJar(t *testing.T, name string, namesAndTexts ...string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	jar := zip.NewWriter(file)
	for pair := range slices.Chunk(namesAndTexts, 2) {
		w, err := jar.Create("common/message/" + pair[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := jar.Close(); err != nil {
		t.Fatal(err)
	}
}
