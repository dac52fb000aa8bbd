// SPDX-License-Identifier: Apache-2.0

// Command record makes the captures of testdata/frames: it starts Apache
// Kafka, puts a proxy before it, lets real clients talk through the proxy and
// writes each frame that passes.
//
//	go run ./kafka/record [-version 4.3.1] [-out FOLDER] [-only CAPTURE]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/frames"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

func main() {
	version := flag.String("version", kafka.DefaultVersion, "release of Apache Kafka")
	out := flag.String("out", frames.Dir(), "folder to write to")
	only := flag.String("only", "", "name of the only capture to write, if it needs none of the others")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := record(ctx, *version, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, version, out, only string) (err error) {
	dir, err := os.MkdirTemp("", "ebpfkafka-record")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	r := &recorder{}
	plain, err := listen(r)
	if err != nil {
		return err
	}
	defer plain.listener.Close()
	sasl, err := listen(r)
	if err != nil {
		return err
	}
	defer sasl.listener.Close()
	broker, err := kafka.Start(ctx, kafka.Options{
		Version: version, Dir: dir, AdvertisedPlain: plain.addr(), AdvertisedSASL: sasl.addr(),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Stop()) }()
	go plain.serve(broker.Addr)
	go sasl.serve(broker.SASLAddr)

	s := &session{broker: broker, plain: plain.addr(), sasl: sasl.addr()}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, c := range s.captures() {
		if only != "" && c.name != only {
			continue
		}
		if _, err := r.take(); err != nil {
			return err
		}
		if err := c.talk(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		taken, err := r.take()
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := frames.Write(&b, taken); err != nil {
			return err
		}
		path := filepath.Join(out, "kafka-"+version+"-"+c.name+".bin")
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return err
		}
		exchanges, err := frames.Exchanges(taken)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Printf("%s: %d bytes, %d frames: %s\n", filepath.Base(path), b.Len(), len(taken), summary(exchanges))
	}
	return nil
}

// summary lists each API and version with how often it was used.
func summary(exchanges []frames.Exchange) string {
	type api struct{ key, version int16 }
	count := map[api]int{}
	var order []api
	names := map[api]string{}
	for _, e := range exchanges {
		a := api{e.Key, e.Version}
		if count[a] == 0 {
			order = append(order, a)
			names[a] = e.Name()
		}
		count[a]++
	}
	slices.SortFunc(order, func(a, b api) int {
		return int(a.key)*100 + int(a.version) - int(b.key)*100 - int(b.version)
	})
	var parts []string
	for _, a := range order {
		parts = append(parts, fmt.Sprintf("%s %d (%d)", names[a], a.version, count[a]))
	}
	return strings.Join(parts, ", ")
}
