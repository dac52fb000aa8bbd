// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	roleVisitor = "visitor"

	// visitEach is the time between two short processes.
	visitEach = 2 * time.Second
	// A visitor's topic and group have this name and a number.
	visitPrefix = "visit-"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == roleVisitor {
		if err := visit(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", roleVisitor, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// visits starts a process now and then that makes a topic, commits an offset of it for a group, and ends. Topic and
// group are deleted afterwards, over TLS, which the collector does not see.
func visits(ctx context.Context, broker *kafka.Broker, done *atomic.Int64) error {
	oracle, err := broker.Oracle()
	if err != nil {
		return err
	}
	defer oracle.Close()
	tick := time.NewTicker(visitEach)
	defer tick.Stop()
	for n := int64(1); ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		name := visitPrefix + strconv.FormatInt(n, 10)
		_, err := process.Run(ctx, roleVisitor, exec.Command("/proc/self/exe", roleVisitor, broker.Addr, name))
		if err == nil {
			err = forget(ctx, oracle, name)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("visit %d: %w", n, err)
		}
		done.Add(1)
	}
}

// visit is the short process: it commits the number in its name.
func visit(address, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ClientID(name))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	made, err := admin.CreateTopic(ctx, 1, 1, nil, name)
	if err := errors.Join(err, made.Err); err != nil {
		return fmt.Errorf("creating topic %s: %w", name, err)
	}
	// The broker answers for the topic once it knows it, and tells the name of its id, by which it is committed.
	err = wait.Until(ctx, func() error {
		topics, err := admin.ListTopics(ctx, name)
		return errors.Join(err, topics.Error())
	})
	if err != nil {
		return fmt.Errorf("finding topic %s: %w", name, err)
	}
	offset, err := visitOffset(name)
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset(name, 0, offset, -1)
	committed, err := admin.CommitOffsets(ctx, name, offsets)
	if err := errors.Join(err, committed.Error()); err != nil {
		return fmt.Errorf("committing offset %d of %s: %w", offset, name, err)
	}
	return nil
}

// forget deletes a visitor's group and topic.
func forget(ctx context.Context, oracle *kafka.Oracle, name string) error {
	deleted, err := oracle.Admin().DeleteGroups(ctx, name)
	if err := errors.Join(err, deleted.Error()); err != nil {
		return fmt.Errorf("deleting group %s: %w", name, err)
	}
	gone, err := oracle.Admin().DeleteTopics(ctx, name)
	if err := errors.Join(err, gone.Error()); err != nil {
		return fmt.Errorf("deleting topic %s: %w", name, err)
	}
	return nil
}

// visitOffset is what a visitor of that name commits.
func visitOffset(name string) (int64, error) {
	return strconv.ParseInt(strings.TrimPrefix(name, visitPrefix), 10, 64)
}

// visited checks what is published of a visitor: its offset, or nothing.
func visited(k kafka.GroupPartition, offset int64) error {
	if want, err := visitOffset(k.Topic); err != nil || k.Group != k.Topic || offset != want {
		return fmt.Errorf("%v: offset %d, where visitors commit the number of their name", k, offset)
	}
	return nil
}
