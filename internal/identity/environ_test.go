// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestReadDeclared(t *testing.T) {
	long := strings.Repeat("x", maxNameBytes+1)
	tests := map[string]struct {
		environ []string
		want    declared
	}{
		"nothing":              {nil, declared{}},
		"others":               {[]string{"PATH=/bin", "AWS_SECRET_ACCESS_KEY=hunter2"}, declared{}},
		"name":                 {[]string{"A=b", "OTEL_SERVICE_NAME=orders"}, declared{serviceName: "orders"}},
		"name wins":            {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=other", "OTEL_SERVICE_NAME=orders"}, declared{serviceName: "orders"}},
		"empty name":           {[]string{"OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES=service.name=other"}, declared{serviceName: "other"}},
		"blank name":           {[]string{"OTEL_SERVICE_NAME=  "}, declared{}},
		"trimmed":              {[]string{"OTEL_SERVICE_NAME= orders\n"}, declared{serviceName: "orders"}},
		"first of two":         {[]string{"OTEL_SERVICE_NAME=first", "OTEL_SERVICE_NAME=second"}, declared{serviceName: "first"}},
		"prefix of the key":    {[]string{"OTEL_SERVICE_NAMES=orders", "XOTEL_SERVICE_NAME=orders"}, declared{}},
		"without equals":       {[]string{"OTEL_SERVICE_NAME"}, declared{}},
		"name is not decoded":  {[]string{"OTEL_SERVICE_NAME=a%20b=c"}, declared{serviceName: "a%20b=c"}},
		"not UTF-8":            {[]string{"OTEL_SERVICE_NAME=caf\xe9"}, declared{serviceName: "caf\uFFFD"}},
		"attributes":           {[]string{"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=prod,service.name=orders,service.instance.id=i-1"}, declared{serviceName: "orders", instanceID: "i-1"}},
		"percent-encoded":      {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=a%2Cb%3Dc%20%C3%A9+d"}, declared{serviceName: "a,b=c é+d"}},
		"decodes to no UTF-8":  {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=a%FF"}, declared{serviceName: "a\uFFFD"}},
		"encoded key":          {[]string{"OTEL_RESOURCE_ATTRIBUTES=service%2Ename=orders"}, declared{serviceName: "orders"}},
		"white space":          {[]string{"OTEL_RESOURCE_ATTRIBUTES= a = b ,\t service.name = orders "}, declared{serviceName: "orders"}},
		"equals in a value":    {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=a=b"}, declared{serviceName: "a=b"}},
		"empty members":        {[]string{"OTEL_RESOURCE_ATTRIBUTES=,service.name=orders,"}, declared{serviceName: "orders"}},
		"last of two members":  {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.name=b"}, declared{serviceName: "b"}},
		"member without value": {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=orders,oops"}, declared{}},
		"wrong encoding":       {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=orders,a=%zz"}, declared{}},
		"key with more":        {[]string{"OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop"}, declared{}},
		"in a pod":             {[]string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}, declared{kubernetes: true}},
		"too long":             {[]string{"OTEL_SERVICE_NAME=" + long}, declared{}},
		"behind a long one":    {[]string{"CONFIG=" + strings.Repeat("x", 3*maxWordBytes), "OTEL_SERVICE_NAME=orders"}, declared{serviceName: "orders"}},
		"within a long one":    {[]string{"CONFIG=" + strings.Repeat("x", maxWordBytes-len("CONFIG=")) + "OTEL_SERVICE_NAME=orders"}, declared{}},
		"behind the limit":     {[]string{"CONFIG=" + strings.Repeat("x", maxWordsBytes), "OTEL_SERVICE_NAME=orders"}, declared{}},
		"cut by the limit":     {[]string{"C=" + strings.Repeat("x", maxWordsBytes-len("C=x")-len("OTEL_SERVICE_NAME=ord")), "OTEL_SERVICE_NAME=xorders"}, declared{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := readDeclared(newWords(strings.NewReader(nulTerminated(test.environ)))); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// An error must not carry what is in the environment into a log.
func TestParseResourceAttributesErrorsQuoteNothing(t *testing.T) {
	for _, s := range []string{"password=%hunter2", "%hunter2=x", "hunter2"} {
		_, _, err := parseResourceAttributes(s)
		if !errors.Is(err, errMalformedAttributes) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestWords(t *testing.T) {
	type word struct {
		length int
		whole  bool
	}
	const limit = maxWordBytes
	tests := map[string]struct {
		input string
		want  []word
	}{
		"empty":          {"", nil},
		"words":          {"a\x00\x00bc\x00", []word{{1, true}, {0, true}, {2, true}}},
		"not terminated": {"a\x00bc", []word{{1, true}, {2, false}}},
		"longest":        {strings.Repeat("x", limit-1) + "\x00a\x00", []word{{limit - 1, true}, {1, true}}},
		"too long":       {"a\x00" + strings.Repeat("x", limit) + "\x00a\x00", []word{{1, true}, {limit, false}, {1, true}}},
		"much too long":  {strings.Repeat("x", 5*limit+7) + "\x00a\x00", []word{{limit, false}, {1, true}}},
		"long, no end":   {strings.Repeat("x", 5*limit+7), []word{{limit, false}}},
	}
	for name, test := range tests {
		for readers, reader := range map[string]*words{
			"at once":     newWords(strings.NewReader(test.input)),
			"in halves":   newWords(iotest.HalfReader(strings.NewReader(test.input))),
			"one by one":  newWords(iotest.OneByteReader(strings.NewReader(test.input))),
			"error early": newWords(iotest.DataErrReader(strings.NewReader(test.input))),
		} {
			t.Run(name+", "+readers, func(t *testing.T) {
				var got []word
				for b, whole, ok := reader.next(); ok; b, whole, ok = reader.next() {
					got = append(got, word{len(b), whole})
				}
				if len(got) != len(test.want) {
					t.Fatalf("got %v, want %v", got, test.want)
				}
				for i := range got {
					if got[i] != test.want[i] {
						t.Fatalf("got %v, want %v", got, test.want)
					}
				}
				if reader.err != nil {
					t.Errorf("error %v", reader.err)
				}
			})
		}
	}
}

func TestWordsClear(t *testing.T) {
	w := newWords(strings.NewReader("SECRET=hunter2\x00"))
	w.next()
	w.clear()
	for _, b := range w.buf {
		if b != 0 {
			t.Fatal("something is left in the buffer")
		}
	}
}

func FuzzReadDeclared(f *testing.F) {
	f.Add("OTEL_SERVICE_NAME=orders\x00")
	f.Add("OTEL_RESOURCE_ATTRIBUTES=service.name=a%2Cb, service.instance.id=\xff%ff\x00PATH=/bin\x00")
	f.Fuzz(func(t *testing.T, environ string) {
		d := readDeclared(newWords(strings.NewReader(environ)))
		for _, s := range []string{d.serviceName, d.instanceID} {
			// Each invalid byte becomes U+FFFD, of three bytes.
			if !utf8.ValidString(s) || len(s) > 3*maxNameBytes || strings.TrimSpace(s) != s {
				t.Errorf("%q of %q", s, environ)
			}
		}
	})
}

// nulTerminated gives words the form of /proc/PID/environ and cmdline.
func nulTerminated(words []string) string {
	var b strings.Builder
	for _, word := range words {
		b.WriteString(word)
		b.WriteByte(0)
	}
	return b.String()
}
