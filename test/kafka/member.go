// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Told is a Java application that does what it is told, a line each.
type Told struct {
	*process.Process
	in io.WriteCloser
}

// Tell gives the application a command. What it has to say to it is in its output.
func (p *Told) Tell(command string) error {
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return fmt.Errorf("tell %s %q: %w", p.Name, command, err)
	}
	return nil
}

// Close ends the application's input: it leaves its group and exits.
func (p *Told) Close() error { return p.in.Close() }

func told(name string, cmd *exec.Cmd) (*Told, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := process.Start(name, "", cmd)
	if err != nil {
		return nil, err
	}
	return &Told{Process: p, in: in}, nil
}

// StartMember starts a Java consumer that commits what it reads, and does what
// it is told: see TestMember.java. Commit, StopAt, StopStep and Hold do not apply.
func (b *Broker) StartMember(ctx context.Context, c Consumer) (*Told, error) {
	config, err := b.propertiesFile(b.consumerProperties(c))
	if err != nil {
		return nil, err
	}
	cmd, err := client(ctx, b.clientVersion(c), "TestMember", "config="+config, "topics="+strings.Join(c.Topics, ","))
	if err != nil {
		return nil, err
	}
	return told("member of "+c.Group, process.In(c.Namespace, cmd))
}

// TransactionMember is an application that reads Input and writes Output in
// transactions, its offsets with them.
type TransactionMember struct {
	Group, Input, Output string
	// ID is its transactional.id.
	ID string
	// Consumer and Producer are properties over what this package sets.
	Consumer, Producer map[string]string
}

// StartTransactionMember starts such an application, which does what it is
// told: see TestTransactionMember.java.
func (b *Broker) StartTransactionMember(ctx context.Context, m TransactionMember) (*Told, error) {
	properties := map[string]string{"isolation.level": "read_committed"}
	maps.Copy(properties, m.Consumer)
	config, err := b.propertiesFile(b.consumerProperties(Consumer{Group: m.Group, Properties: properties}))
	if err != nil {
		return nil, err
	}
	properties = map[string]string{"bootstrap.servers": b.Addr, "transactional.id": m.ID, "metadata.max.age.ms": fresh}
	maps.Copy(properties, m.Producer)
	producer, err := b.propertiesFile(properties)
	if err != nil {
		return nil, err
	}
	cmd, err := client(ctx, b.Version, "TestTransactionMember", "config="+config, "producer="+producer,
		"topic="+m.Input, "output="+m.Output)
	if err != nil {
		return nil, err
	}
	return told("transactions of "+m.Group, cmd)
}
