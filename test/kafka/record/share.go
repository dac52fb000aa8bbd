// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// firstShare is the release from which on share groups (KIP-932) work without being asked for.
const firstShare = "4.2"

const (
	shareGroup = "sharers"
	shareTopic = "jobs"
	// shareEach is how many records each partition gets: of four, one is released and one rejected.
	shareEach = 12
)

// The program needs a newer client than others of test/kafka/java do: it is compiled when it is run.
//
//go:embed java/TestShareConsumer.java
var shareConsumer []byte

// javaShare: a member of a share group accepts, releases and rejects records one by one.
func (s *session) javaShare(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "ebpfkafka-share")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source, config := filepath.Join(dir, "TestShareConsumer.java"), filepath.Join(dir, "share.properties")
	properties := fmt.Sprintf("bootstrap.servers=%s\ngroup.id=%s\nshare.acknowledgement.mode=explicit\nmax.poll.records=8\n", s.plain, shareGroup)
	if err := errors.Join(os.WriteFile(source, shareConsumer, 0o600), os.WriteFile(config, []byte(properties), 0o600)); err != nil {
		return err
	}
	classpath, err := kafka.Classpath(ctx, s.broker.Version)
	if err != nil {
		return err
	}
	_, err = process.Run(ctx, "share consumer", exec.Command("java", "-Xmx96m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", classpath, source, config, shareTopic, fmt.Sprint(shareEach*partitions), fmt.Sprint(partitions)))
	return err
}

// prepareShare makes a topic with records, all of which the group is to read.
func (s *session) prepareShare(ctx context.Context) error {
	if err := s.broker.CreateTopic(ctx, shareTopic, partitions); err != nil {
		return err
	}
	if err := s.broker.Produce(ctx, kafka.Production{Topic: shareTopic, Partitions: partitions, Count: shareEach, Addr: s.broker.Addr}); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.broker.Addr))
	if err != nil {
		return err
	}
	defer client.Close()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, shareGroup
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "share.auto.offset.reset", kmsg.StringPtr("earliest")
	r.Configs = append(r.Configs, c)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		if r.ErrorCode != 0 {
			return fmt.Errorf("%s=earliest of group %s: error %d", c.Name, shareGroup, r.ErrorCode)
		}
	}
	return nil
}
