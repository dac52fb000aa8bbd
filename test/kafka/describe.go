// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Row is one line of kafka-consumer-groups --describe. What the tool prints
// as "-" is -1 for numbers and empty for text.
type Row struct {
	Group, Topic             string
	Partition                int32
	Committed, End, Lag      int64
	ConsumerID, Host, Client string
}

// Describe runs kafka-consumer-groups --describe --offsets for the given
// groups, or for all if none is given, over TLS, and returns its rows.
func (b *Broker) Describe(ctx context.Context, groups ...string) ([]Row, error) {
	config, err := b.propertiesFile(b.TLSProperties())
	if err != nil {
		return nil, err
	}
	defer os.Remove(config)
	args := []string{"--bootstrap-server", b.TLSAddr, "--command-config", config, "--describe", "--offsets"}
	if len(groups) == 0 {
		args = append(args, "--all-groups")
	}
	for _, g := range groups {
		args = append(args, "--group", g)
	}
	cmd, err := client(ctx, b.Version, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", args...)
	if err != nil {
		return nil, err
	}
	// The tool ends its last line late, and what it logs comes between.
	var table strings.Builder
	cmd.Stdout = &table
	if _, err := process.Run(ctx, "kafka-consumer-groups --describe", cmd); err != nil {
		return nil, err
	}
	return parseDescribe(table.String())
}

// parseDescribe reads the tables that kafka-consumer-groups prints, one for
// each group, by the names in their heads: columns have come and gone over
// the releases.
func parseDescribe(out string) ([]Row, error) {
	var rows []Row
	var head []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) > 0 && fields[0] == "GROUP" {
			head = fields
			continue
		}
		if head == nil || len(fields) != len(head) {
			head = nil // a blank line or a message ends a table
			continue
		}
		row := Row{Partition: -1, Committed: -1, End: -1, Lag: -1}
		for i, name := range head {
			value := fields[i]
			if value == "-" {
				continue
			}
			var err error
			switch name {
			case "GROUP":
				row.Group = value
			case "TOPIC":
				row.Topic = value
			case "PARTITION":
				var n int64
				n, err = strconv.ParseInt(value, 10, 32)
				row.Partition = int32(n)
			case "CURRENT-OFFSET":
				row.Committed, err = strconv.ParseInt(value, 10, 64)
			case "LOG-END-OFFSET":
				row.End, err = strconv.ParseInt(value, 10, 64)
			case "LAG":
				row.Lag, err = strconv.ParseInt(value, 10, 64)
			case "CONSUMER-ID":
				row.ConsumerID = value
			case "HOST":
				row.Host = value
			case "CLIENT-ID":
				row.Client = value
			}
			if err != nil {
				return nil, fmt.Errorf("kafka-consumer-groups printed %q for %s: %w", value, name, err)
			}
		}
		if row.Topic != "" { // a member without partitions
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("kafka-consumer-groups printed no row:\n%s", out)
	}
	return rows, nil
}

// propertiesFile writes a Java properties file for one client. The caller
// removes it, or leaves it to the removal of the broker's folder.
func (b *Broker) propertiesFile(p map[string]string) (string, error) {
	f, err := os.CreateTemp(b.Dir, "client-*.properties")
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return f.Name(), writeProperties(f.Name(), p)
}
