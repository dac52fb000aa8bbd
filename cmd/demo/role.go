// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// roleArgument makes this program one of the demo's processes instead of the demo. It is not for users.
const roleArgument = "role"

const (
	brokerRole   = "broker"
	producerRole = "producer"
	consumerRole = "consumer"
)

// What the parent asks of a role, and what a role says. The end of its input ends a role.
const (
	askQuiesce = "quiesce" // stop the work, acknowledge with sayQuiet once everything sent was answered
	sayReady   = "ready"
	sayQuiet   = "quiet"
)

// metadataMaxAge is how often the clients ask for metadata. Their default is minutes; requests name topics by id since
// Kafka 3.7 or so, and an agent that attaches to an open connection learns the names from the next metadata response.
const metadataMaxAge = 5 * time.Second

// prompter is the role's side of the line protocol.
type prompter struct {
	name    string
	out     io.Writer
	quiesce <-chan struct{}
}

func (p prompter) say(word, rest string) {
	if rest != "" {
		word += " " + rest
	}
	fmt.Fprintln(p.out, word)
}

// runRole is main of a role process.
func runRole(arguments []string) int {
	signal.Ignore(os.Interrupt) // the terminal's Ctrl-C is the parent's to handle
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	quiesce := make(chan struct{})
	go func() {
		asked := false
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if in.Text() == askQuiesce && !asked {
				asked = true
				close(quiesce)
			}
		}
		cancel()
	}()
	if err := playRole(ctx, arguments, prompter{out: os.Stdout, quiesce: quiesce}); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func playRole(ctx context.Context, arguments []string, p prompter) error {
	if len(arguments) == 0 {
		return fmt.Errorf("a role must be one of %s, %s, %s", brokerRole, producerRole, consumerRole)
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.StringVar(&p.name, "name", "", "")
	broker := flags.String("broker", "", "")
	switch arguments[0] {
	case brokerRole:
		cluster := flags.String("cluster", "", "")
		port := flags.Int("port", 0, "")
		if err := flags.Parse(arguments[1:]); err != nil {
			return err
		}
		return playBroker(ctx, p, *cluster, *port)
	case producerRole:
		rate := flags.Int("rate", 0, "")
		if err := flags.Parse(arguments[1:]); err != nil {
			return err
		}
		return playProducer(ctx, p, *broker, *rate)
	case consumerRole:
		group := flags.String("group", "", "")
		topic := flags.String("topic", "", "")
		work := flags.Duration("work", 0, "")
		if err := flags.Parse(arguments[1:]); err != nil {
			return err
		}
		return playConsumer(ctx, p, *broker, *group, *topic, *work)
	default:
		return fmt.Errorf("unknown role %q", arguments[0])
	}
}

// clientOptions is what all Kafka clients of the demo share.
func clientOptions(broker, clientID string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(broker),
		kgo.ClientID(clientID),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.MetadataMinAge(metadataMaxAge / 5),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)),
	}
}
