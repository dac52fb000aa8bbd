// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestVersionRange(t *testing.T) {
	for _, test := range []struct {
		r         VersionRange
		in, out   []int16
		empty     bool
		formatted string
	}{
		{None, nil, []int16{-1, 0, 1, 2}, true, "none"},
		{VersionRange{5, 3}, nil, []int16{2, 3, 4, 5, 6}, true, "none"},
		{VersionRange{}, []int16{0}, []int16{-1, 1}, false, "0"},
		{VersionRange{2, 10}, []int16{2, 3, 10}, []int16{-1, 0, 1, 11}, false, "2-10"},
	} {
		for _, v := range test.in {
			if !test.r.Has(v) {
				t.Errorf("%v.Has(%d) is false", test.r, v)
			}
		}
		for _, v := range test.out {
			if test.r.Has(v) {
				t.Errorf("%v.Has(%d) is true", test.r, v)
			}
		}
		if test.r.Empty() != test.empty || test.r.String() != test.formatted {
			t.Errorf("%#v: Empty %v, String %q; want %v, %q", test.r, test.r.Empty(), test.r, test.empty, test.formatted)
		}
	}
	for _, test := range []struct{ a, b, want VersionRange }{
		{VersionRange{0, 7}, VersionRange{3, 9}, VersionRange{3, 7}},
		{VersionRange{0, 7}, VersionRange{2, 3}, VersionRange{2, 3}},
		{VersionRange{0, 3}, VersionRange{4, 9}, None},
		{VersionRange{0, 3}, None, None},
	} {
		if got := test.a.Intersect(test.b); got != test.want {
			t.Errorf("%v ∩ %v = %v, want %v", test.a, test.b, got, test.want)
		}
		if got := test.b.Intersect(test.a); got != test.want {
			t.Errorf("%v ∩ %v = %v, want %v", test.b, test.a, got, test.want)
		}
	}
}

func TestTypeString(t *testing.T) {
	for typ, want := range map[Type]string{Bool: "bool", Uint16: "uint16", UUID: "uuid", Struct: "struct", 99: "Type(99)"} {
		if got := typ.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The file is what FormatFacts makes of it: no hand has been at it, and nothing is lost in parsing.
func TestFactsAreCanonical(t *testing.T) {
	body := factsText
	for strings.HasPrefix(body, "#") {
		_, body, _ = strings.Cut(body, "\n")
	}
	messages, err := ParseFacts(factsText)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(FormatFacts(messages), "\n"), strings.Split(body, "\n")
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d below the comments is %q, formatted %q", i+1, want[i], got[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d lines, formatted %d", len(want), len(got))
	}
}

// Facts that are well known from Kafka's protocol guide and KIPs. Paths are names joined by dots.
func TestKnownFields(t *testing.T) {
	plain := func(typ Type, versions VersionRange) Field {
		return Field{Type: typ, Versions: versions, Nullable: None, Tagged: None}
	}
	array := func(f Field) Field { f.Array = true; return f }
	nullable := func(f Field, versions VersionRange) Field { f.Nullable = versions; return f }
	tagged := func(f Field, tag uint32, versions VersionRange) Field { f.Tag, f.Tagged = tag, versions; return f }
	never := func(f Field) Field { f.FlexibleNever = true; return f }
	for _, test := range []struct {
		message string
		path    string
		want    Field // without Name and Fields; ranges are those of all entries together
	}{
		{"RequestHeader", "CorrelationId", plain(Int32, VersionRange{0, 2})},
		{"RequestHeader", "ClientId", never(nullable(plain(String, VersionRange{1, 2}), VersionRange{1, 2}))},
		{"ResponseHeader", "CorrelationId", plain(Int32, VersionRange{0, 1})},
		{"ProduceRequest", "Acks", plain(Int16, VersionRange{0, 13})},
		{"ProduceRequest", "TopicData.Name", plain(String, VersionRange{0, 12})},
		{"ProduceRequest", "TopicData.TopicId", plain(UUID, VersionRange{13, 13})},
		{"ProduceRequest", "TopicData.PartitionData.Records", nullable(plain(Records, VersionRange{0, 13}), VersionRange{0, 13})},
		{"FetchRequest", "ReplicaId", plain(Int32, VersionRange{0, 14})},
		{"FetchRequest", "ReplicaState", tagged(plain(Struct, VersionRange{15, 18}), 1, VersionRange{15, 18})},
		{"FetchRequest", "ReplicaState.ReplicaEpoch", plain(Int64, VersionRange{15, 18})},
		{"FetchRequest", "ClusterId", tagged(nullable(plain(String, VersionRange{12, 18}), VersionRange{12, 18}), 0, VersionRange{12, 18})},
		{"FetchRequest", "ForgottenTopicsData.Topic", plain(String, VersionRange{7, 12})},
		{"FetchResponse", "Responses.TopicId", plain(UUID, VersionRange{13, 18})},
		{"FetchResponse", "Responses.Partitions.HighWatermark", plain(Int64, VersionRange{0, 18})},
		{"FetchResponse", "Responses.Partitions.LastStableOffset", plain(Int64, VersionRange{4, 18})},
		{"FetchResponse", "Responses.Partitions.DivergingEpoch.EndOffset", plain(Int64, VersionRange{12, 18})},
		{"ListOffsetsResponse", "Topics.Partitions.OldStyleOffsets", array(plain(Int64, VersionRange{0, 0}))},
		{"ListOffsetsResponse", "Topics.Partitions.Offset", plain(Int64, VersionRange{1, 11})},
		{"MetadataRequest", "Topics", nullable(array(plain(Struct, VersionRange{0, 13})), VersionRange{1, 13})},
		{"MetadataResponse", "ClusterId", nullable(plain(String, VersionRange{2, 13}), VersionRange{2, 13})},
		{"MetadataResponse", "Topics.Name", nullable(plain(String, VersionRange{0, 13}), VersionRange{12, 13})},
		{"MetadataResponse", "Topics.TopicId", plain(UUID, VersionRange{10, 13})},
		{"MetadataResponse", "Topics.Partitions.ReplicaNodes", array(plain(Int32, VersionRange{0, 13}))},
		{"OffsetCommitRequest", "GroupId", plain(String, VersionRange{0, 10})},
		{"OffsetCommitRequest", "RetentionTimeMs", plain(Int64, VersionRange{2, 4})},
		{"OffsetCommitRequest", "Topics.Name", plain(String, VersionRange{0, 9})},
		{"OffsetCommitRequest", "Topics.TopicId", plain(UUID, VersionRange{10, 10})},
		{"OffsetCommitRequest", "Topics.Partitions.CommittedOffset", plain(Int64, VersionRange{0, 10})},
		{"OffsetCommitRequest", "Topics.Partitions.CommitTimestamp", plain(Int64, VersionRange{1, 1})},
		{"OffsetFetchRequest", "Topics", nullable(array(plain(Struct, VersionRange{0, 7})), VersionRange{2, 7})},
		{"OffsetFetchResponse", "Groups.Topics.Partitions.CommittedOffset", plain(Int64, VersionRange{8, 10})},
		{"ApiVersionsResponse", "FinalizedFeatures", tagged(array(plain(Struct, VersionRange{3, 4})), 2, VersionRange{3, 4})},
		// Structs that several fields share, here written out at each.
		{"AddPartitionsToTxnRequest", "V3AndBelowTopics.Partitions", array(plain(Int32, VersionRange{0, 3}))},
		{"AddPartitionsToTxnRequest", "Transactions.Topics.Partitions", array(plain(Int32, VersionRange{4, 5}))},
		{"ConsumerGroupHeartbeatResponse", "Assignment", nullable(plain(Struct, VersionRange{0, 1}), VersionRange{0, 1})},
		{"ConsumerGroupHeartbeatResponse", "Assignment.TopicPartitions.TopicId", plain(UUID, VersionRange{0, 1})},
	} {
		got, found := mergedField(test.message, test.path)
		if !found {
			t.Errorf("%s: no field %s", test.message, test.path)
			continue
		}
		got.Name, got.Fields = "", nil
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s:\n got %+v\nwant %+v", test.message, test.path, got, test.want)
		}
	}
}

// mergedField finds a field in all entries of a message and joins its ranges.
func mergedField(message, path string) (merged Field, found bool) {
	for _, m := range Messages() {
		if m.Name != message {
			continue
		}
		fields, names := m.Fields, strings.Split(path, ".")
		for i, name := range names {
			at := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
			if at < 0 {
				break
			}
			f := fields[at]
			fields = f.Fields
			if i < len(names)-1 {
				continue
			}
			if !found {
				merged, found = f, true
				continue
			}
			merged.Versions = join(merged.Versions, f.Versions)
			merged.Nullable = join(merged.Nullable, f.Nullable)
			merged.Tagged = join(merged.Tagged, f.Tagged)
		}
	}
	return merged, found
}

func join(a, b VersionRange) VersionRange {
	switch {
	case a.Empty():
		return b
	case b.Empty():
		return a
	}
	return VersionRange{Min: min(a.Min, b.Min), Max: max(a.Max, b.Max)}
}

func TestKnownAPIs(t *testing.T) {
	for _, want := range []API{
		{0, "Produce", VersionRange{0, 13}, VersionRange{9, 13}},
		{1, "Fetch", VersionRange{0, 18}, VersionRange{12, 18}},
		{3, "Metadata", VersionRange{0, 13}, VersionRange{9, 13}},
		{7, "ControlledShutdown", VersionRange{0, 3}, VersionRange{3, 3}}, // gone in 4.0
		{8, "OffsetCommit", VersionRange{0, 10}, VersionRange{8, 10}},
		{17, "SaslHandshake", VersionRange{0, 1}, None},
		{47, "OffsetDelete", VersionRange{0, 0}, None},
		{68, "ConsumerGroupHeartbeat", VersionRange{0, 1}, VersionRange{0, 1}},
		{74, "ListConfigResources", VersionRange{0, 1}, VersionRange{0, 1}}, // renamed in 4.1
	} {
		i := slices.IndexFunc(APIs(), func(a API) bool { return a.Key == want.Key })
		if i < 0 || APIs()[i] != want {
			t.Errorf("want %+v in %+v", want, APIs())
		}
	}
}

// What callers rely on without looking: each API has all versions from 0 on, both directions alike.
func TestVersionsAreComplete(t *testing.T) {
	if !slices.IsSortedFunc(APIs(), func(a, b API) int { return cmp.Compare(a.Key, b.Key) }) {
		t.Error("APIs are not sorted by key")
	}
	if n := len(APIs()); n < 93 {
		t.Errorf("only %d APIs, Kafka 4.3 and 3.9 have 93", n)
	}
	entries := 0
	for _, a := range append([]API{{Key: HeaderKey}}, APIs()...) {
		for _, request := range []bool{true, false} {
			var parts []Message
			for _, m := range Messages() {
				if m.APIKey == a.Key && m.Request == request {
					parts = append(parts, m)
				}
			}
			entries += len(parts)
			if a.Key == HeaderKey {
				continue // the two headers have versions of their own
			}
			suffix := "Response"
			if request {
				suffix = "Request"
			}
			next := int16(0)
			flexible := None
			for _, m := range parts {
				if m.Name != a.Name+suffix {
					t.Errorf("%s is called %s in versions %v", a.Name+suffix, m.Name, m.Versions)
				}
				if m.Versions.Min != next {
					t.Errorf("%s: versions %v, but %d is next", m.Name, m.Versions, next)
				}
				next = m.Versions.Max + 1
				flexible = join(flexible, m.Flexible)
			}
			if got := (VersionRange{0, next - 1}); got != a.Versions || flexible != a.Flexible {
				t.Errorf("%s%s: versions %v, flexible %v, but the API has %v, %v", a.Name, suffix, got, flexible, a.Versions, a.Flexible)
			}
		}
		if !a.Flexible.Empty() && a.Flexible.Max != a.Versions.Max {
			t.Errorf("%s: flexible %v does not go on to the end of %v", a.Name, a.Flexible, a.Versions)
		}
	}
	if entries != len(Messages()) {
		t.Errorf("%d entries belong to an API, there are %d", entries, len(Messages()))
	}
}

func TestLookup(t *testing.T) {
	for i, m := range Messages() {
		for v := m.Versions.Min; v <= m.Versions.Max; v++ {
			if got := Lookup(m.APIKey, m.Request, v); got != &Messages()[i] {
				t.Errorf("%s version %d: got %+v", m.Name, v, got)
			}
		}
	}
	for _, absent := range []struct{ key, version int16 }{{8, -1}, {8, 11}, {1, 19}, {-2, 0}, {HeaderKey, 3}, {999, 0}} {
		for _, request := range []bool{true, false} {
			if got := Lookup(absent.key, request, absent.version); got != nil {
				t.Errorf("%+v: got %s %v", absent, got.Name, got.Versions)
			}
		}
	}
}

func TestHeaderVersions(t *testing.T) {
	for _, test := range []struct{ key, version, request, response int16 }{
		{0, 8, 1, 0},
		{0, 9, 2, 1},
		{0, 100, 2, 1}, // newer than any known
		{8, 1, 1, 0},
		{8, 10, 2, 1},
		{7, 0, 0, 0}, // ControlledShutdown
		{7, 1, 1, 0},
		{7, 3, 2, 1},
		{18, 0, 1, 0}, // ApiVersions
		{18, 2, 1, 0},
		{18, 3, 2, 0},
		{18, 5, 2, 0},
		{17, 1, 1, 0}, // SaslHandshake is never flexible
		{68, 0, 2, 1},
		{999, 0, -1, -1},
		{HeaderKey, 0, -1, -1},
	} {
		if got := RequestHeaderVersion(test.key, test.version); got != test.request {
			t.Errorf("request header of API %d version %d: %d, want %d", test.key, test.version, got, test.request)
		}
		if got := ResponseHeaderVersion(test.key, test.version); got != test.response {
			t.Errorf("response header of API %d version %d: %d, want %d", test.key, test.version, got, test.response)
		}
	}
	// Each answer is a header that is described.
	for _, a := range APIs() {
		for v := a.Versions.Min; v <= a.Versions.Max; v++ {
			if Lookup(HeaderKey, true, RequestHeaderVersion(a.Key, v)) == nil ||
				Lookup(HeaderKey, false, ResponseHeaderVersion(a.Key, v)) == nil {
				t.Errorf("%s version %d: no such header", a.Name, v)
			}
		}
	}
}

func TestParseFactsRejects(t *testing.T) {
	const head = "# a comment\nrequest 8 OffsetCommitRequest 2-10 flexible=8-10\n"
	for _, test := range []struct{ text, want string }{
		{"", "last line"},
		{"# only a comment\n", "no messages"},
		{head + "\tGroupId string", "last line"},
		{head + "\n", `line 3 "": want direction`},
		{head + "# late\n", "line 3 \"# late\""},
		{"\tGroupId string\n", "line 1 \"\\tGroupId string\": a field without a message"},
		{"request 8 X\n", "line 1 \"request 8 X\": want direction"},
		{"question 8 X 0\n", `direction "question"`},
		{"request 32768 X 0\n", `"32768" is not an API key`},
		{"request -2 X 0\n", `"-2" is not an API key`},
		{"request 8 Ä 0\n", `"Ä" is not a name`},
		{"request 8  0\n", `"" is not a name`},
		{"request 8 X 0-\n", `"0-" is not a range`},
		{"request 8 X 5-3\n", `"5-3" is not a range`},
		{"request 8 X 3-3\n", `"3-3" is not a range`},
		{"request 8 X 03\n", `"03" is not a range`},
		{"request 8 X none\n", `"none" is not a range`},
		{"request 8 X 0-40000\n", `"0-40000" is not a range`},
		{"request 8 X 0-3 flexible=2-4\n", "line 1 \"request 8 X 0-3 flexible=2-4\": versions 2-4 are not within 0-3"},
		{"request 8 X 0-3 quick\n", `unknown attribute "quick"`},
		{head + "\tGroupId\n", `line 3 "\tGroupId": want name, type`},
		{head + "\tGroup-Id string\n", `"Group-Id" is not a name`},
		{head + "\t1Id string\n", `"1Id" is not a name`},
		{head + "\tGroupId text\n", `unknown type "text"`},
		{head + "\tGroupId [][]int8\n", `unknown type "[][]int8"`},
		{head + "\tGroupId string \n", `unknown attribute ""`},
		{head + "\tGroupId string color=red\n", `unknown attribute "color=red"`},
		{head + "\tGroupId string versions=1-3\n", "versions 1-3 are not within 2-10"},
		{head + "\tGroupId string versions=3-4 nullable=3-5\n", "versions 3-5 are not within 3-4"},
		{head + "\tGroupId string tag=1\n", "tag and tagged go together"},
		{head + "\tGroupId string tagged=8-9\n", "tag and tagged go together"},
		{head + "\tGroupId string tag=-1 tagged=8\n", `"-1" is not a tag`},
		{head + "\tGroupId string tag=1 tagged=7-9\n", "versions 7-9 are not within 8-10"},
		{head + "\tGroupId string flexible=9\n", "flexible=9 of a field"},
		{head + "\tGroupId int32 nullable=2-10\n", "a int32 cannot be null"},
		{head + "\t\tGroupId string\n", "line 3 \"\\t\\tGroupId string\": 2 tabs, want at most 1"},
		{head + "\tGroupId string\n\t\tName string\n", "line 4 \"\\t\\tName string\": 2 tabs"},
		{head + "\tTopics []struct\n\tGroupId string\n", "line 3 \"\\tTopics []struct\": a struct without fields"},
		{head + "\tTopics struct\n", "a struct without fields"},
		{head + "\tA int8\n\tA int16\n", "line 4 \"\\tA int16\": a second field A"},
		{head + "\tA int8 tag=3 tagged=9-10\n\tB int8 tag=3 tagged=8-9\n", "line 4 \"\\tB int8 tag=3 tagged=8-9\": tag 3 is that of A"},
		{head + "\tA int8\nrequest 7 B 0\n\tC int8\n", "line 4 \"request 7 B 0\": out of order"},
		{"response 8 A 0\nrequest 8 B 0\n", "line 2 \"request 8 B 0\": out of order"},
		{"request 8 A 0-3\n\tC int8\nrequest 8 A 3-4\n", "line 3 \"request 8 A 3-4\": versions out of order or overlapping"},
	} {
		messages, err := ParseFacts(test.text)
		switch {
		case err == nil:
			t.Errorf("%q: no error, got %+v", test.text, messages)
		case !strings.Contains(err.Error(), test.want):
			t.Errorf("%q: error %q, want one with %q", test.text, err, test.want)
		}
	}
	// The same head with sound fields does parse, names and tags may come again in other versions.
	sound := head + "\tA int8 versions=2-4\n\tA int16 versions=5-10\n" +
		"\tB int8 tag=3 tagged=8\n\tC int8 tag=3 tagged=9-10\n\tTopics []struct nullable=2-3\n\t\tName string\n"
	if _, err := ParseFacts(sound); err != nil {
		t.Error(err)
	}
}

func TestMalformedFactsPanic(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, `line 1 "nonsense"`) || !strings.Contains(got, "go generate") {
			t.Errorf("panic %q names neither the line nor the remedy", got)
		}
	}()
	mustLoad("nonsense\n")
}

func BenchmarkParseFacts(b *testing.B) {
	for b.Loop() {
		if _, err := ParseFacts(factsText); err != nil {
			b.Fatal(err)
		}
	}
}
