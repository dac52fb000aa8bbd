// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

func mechanism(m kafka.Mechanism) sasl.Mechanism {
	switch m {
	case kafka.ScramSHA256:
		return scram.Auth{User: kafka.SASLUser, Pass: kafka.SASLPassword}.AsSha256Mechanism()
	case kafka.ScramSHA512:
		return scram.Auth{User: kafka.SASLUser, Pass: kafka.SASLPassword}.AsSha512Mechanism()
	case kafka.OAuthBearer:
		return oauth.Auth{Token: unsecuredToken()}.AsMechanism()
	default:
		return plain.Auth{User: kafka.SASLUser, Pass: kafka.SASLPassword}.AsMechanism()
	}
}

// unsecuredToken is a JSON web token without a signature (RFC 7515, appendix A.5).
func unsecuredToken() string {
	now := time.Now().Unix()
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, kafka.SASLUser, now, now+3600)
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}

// handshakes counts how often a franz-go client has begun to authenticate, and
// its connections.
type handshakes struct{ connections, begun atomic.Int64 }

func (h *handshakes) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		h.connections.Add(1)
	}
}

func (h *handshakes) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key == saslHandshakeKey && e.Err() == nil {
		h.begun.Add(1)
	}
}

// sasl: clients of every mechanism, Java's and franz-go's. SCRAM's have to
// authenticate again and again, on connections in use (KIP-368).
func (s *scene) sasl(t *testing.T) {
	const partitions, records, stop = 3, 30, 20
	s.topic(t, "sasl", partitions, records)
	clean := s.watch(t)
	var java, groups []string
	for _, m := range kafka.Mechanisms {
		group := "java-" + string(m)
		c, err := s.broker.StartConsumer(t.Context(), kafka.Consumer{Group: group, Topics: []string{"sasl"}, StopAt: stop,
			Addr: s.broker.SASLAddr, Properties: kafka.SASLPropertiesOf(m)})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Stop(patience)) }()
		java, groups = append(java, group), append(groups, group, "go-"+string(m))
	}
	for i, m := range kafka.Mechanisms {
		var seen handshakes
		c, err := kgo.NewClient(kgo.SeedBrokers(s.broker.SASLAddr), kgo.SASL(mechanism(m)), kgo.ClientID("go-"+string(m)),
			kgo.WithHooks(&seen))
		require.NoError(t, err)
		defer c.Close()
		at := int64(0)
		commit := func() {
			at++
			offsets := kadm.Offsets{}
			for p := range int32(partitions) {
				offsets.AddOffset("sasl", p, at*10+int64(i), -1)
			}
			committed, err := kadm.NewClient(c).CommitOffsets(t.Context(), "go-"+string(m), offsets)
			require.NoError(t, err)
			require.NoError(t, committed.Error())
		}
		commit()
		commit()
		if m == kafka.ScramSHA256 || m == kafka.ScramSHA512 {
			within(t, func() error {
				commit()
				if again := seen.begun.Load() - seen.connections.Load(); again < 2 {
					return fmt.Errorf("authenticated anew %d times", again)
				}
				return nil
			})
		}
	}
	within(t, func() error {
		truth := s.committed(t, java...)
		for _, group := range java {
			for p := range int32(partitions) {
				if at := truth.Committed[kafka.GroupPartition{Group: group, Topic: "sasl", Partition: p}]; at != stop {
					return fmt.Errorf("%s has committed %d of partition %d", group, at, p)
				}
			}
		}
		return nil
	})
	s.agree(t, expectation{groups: groups, uncounted: true})
	s.agree(t, expectation{groups: java, uncounted: true, lag: true})
	clean()
}

const saslHandshakeKey = 17

// handshake names the mechanism, in that version.
func (k *talker) handshake(version int16, m kafka.Mechanism) {
	k.t.Helper()
	q := kmsg.NewPtrSASLHandshakeRequest()
	q.Version, q.Mechanism = version, string(m)
	r := k.ask(q).(*kmsg.SASLHandshakeResponse)
	require.Zero(k.t, r.ErrorCode)
}

// authenticate says what a mechanism has to say, each word by exchange.
func (k *talker) authenticate(m kafka.Mechanism, exchange func([]byte) []byte) {
	k.t.Helper()
	session, say, err := mechanism(m).Authenticate(k.t.Context(), "127.0.0.1")
	require.NoError(k.t, err)
	for done := false; !done; {
		answer := exchange(say)
		done, say, err = session.Challenge(answer)
		require.NoError(k.t, err)
	}
}

// rawly exchanges tokens behind a length and nothing else, as after a
// handshake of version 0.
func (k *talker) rawly(token []byte) []byte {
	k.t.Helper()
	k.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
	return k.readFrame()
}

// framed exchanges tokens in SaslAuthenticate, as after a handshake of version 1.
func (k *talker) framed(token []byte) []byte {
	k.t.Helper()
	q := kmsg.NewPtrSASLAuthenticateRequest()
	q.Version, q.SASLAuthBytes = 2, token
	r := k.ask(q).(*kmsg.SASLAuthenticateResponse)
	require.Zero(k.t, r.ErrorCode, r.ErrorMessage)
	return r.SASLAuthBytes
}

// saslRaw: tokens that are no frames of Kafka's stand between frames.
func (s *scene) saslRaw(t *testing.T) {
	s.topic(t, "sasl-raw", 2, 5)
	clean := s.watch(t)
	var groups []string
	for _, m := range kafka.Mechanisms {
		for _, first := range []bool{false, true} { // whether anything is said before the handshake
			group := fmt.Sprintf("raw-%s-%t", m, first)
			k := s.dial(t, s.broker.SASLAddr, group)
			if first {
				q := kmsg.NewPtrApiVersionsRequest()
				q.Version = 0
				k.ask(q)
			}
			k.handshake(0, m)
			k.authenticate(m, k.rawly)
			k.metadata("sasl-raw")
			k.committed(8, group, across("sasl-raw", 2, 1)...)
			k.committed(newestCommit, group, across("sasl-raw", 2, 3)...)
			k.ask(k.fetch("sasl-raw", 0, 1))
			groups = append(groups, group)
		}
	}
	s.agree(t, expectation{groups: groups, lag: true})
	// What follows the handshake is no header, and the place is found again at
	// once. An answer that could be one waits in vain for its request.
	clean("bad_header", "resynchronisations", "orphan_responses")
}

// saslAgain: a connection authenticates anew between commits in flight.
func (s *scene) saslAgain(t *testing.T) {
	s.topic(t, "sasl-again", 2, 5)
	clean := s.watch(t)
	k := s.dial(t, s.broker.SASLAddr, "again")
	for round := range int64(3) {
		k.handshake(1, kafka.ScramSHA256)
		k.authenticate(kafka.ScramSHA256, k.framed)
		k.metadata("sasl-again")
		k.committed(9, "again", across("sasl-again", 2, 10*round)...)
		// A broker takes a client that is back within a second for an attack.
		time.Sleep(reauthentication / 2)
		k.committed(newestCommit, "again", across("sasl-again", 2, 10*round+1)...)
	}
	s.agree(t, expectation{groups: []string{"again"}})
	clean()
}
