// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// The one user that the broker's SASL listener knows. It guards nothing.
const (
	SASLUser     = "alice"
	SASLPassword = "alice-secret"
)

// Mechanism is one of SASL's.
type Mechanism string

// The mechanisms that a broker can check without another program. OAuthBearer
// tokens are unsecured JSON web tokens, whose subject is SASLUser.
const (
	Plain       Mechanism = "PLAIN"
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
	OAuthBearer Mechanism = "OAUTHBEARER"
)

// Mechanisms are all of them.
var Mechanisms = []Mechanism{Plain, ScramSHA256, ScramSHA512, OAuthBearer}

// scramIterations is the least that Kafka accepts.
const scramIterations = 4096

const (
	plainLogin = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramLogin = "org.apache.kafka.common.security.scram.ScramLoginModule"
	oauthLogin = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
)

// login is what sasl.jaas.config of a client says.
func (m Mechanism) login() string {
	switch m {
	case OAuthBearer:
		return fmt.Sprintf(`%s required unsecuredLoginStringClaim_sub="%s";`, oauthLogin, SASLUser)
	case Plain:
		return fmt.Sprintf(`%s required username="%s" password="%s";`, plainLogin, SASLUser, SASLPassword)
	default:
		return fmt.Sprintf(`%s required username="%s" password="%s";`, scramLogin, SASLUser, SASLPassword)
	}
}

// SASLListener are Options.Properties by which SASLAddr offers every
// mechanism. The SCRAM ones work once AddSCRAMUser has returned. Sessions of
// those mechanisms that reauthenticate names end after that time unless the
// client authenticates anew (KIP-368).
func SASLListener(reauthenticate map[Mechanism]time.Duration) map[string]string {
	p := map[string]string{}
	var names []string
	for _, m := range Mechanisms {
		names = append(names, string(m))
		prefix := "listener.name.sasl_plaintext." + strings.ToLower(string(m)) + "."
		switch m {
		case ScramSHA256, ScramSHA512:
			p[prefix+"sasl.jaas.config"] = scramLogin + " required;"
		case OAuthBearer:
			p[prefix+"sasl.jaas.config"] = m.login()
		}
		if limit, ok := reauthenticate[m]; ok {
			p[prefix+"connections.max.reauth.ms"] = fmt.Sprint(limit.Milliseconds())
		}
	}
	p["sasl.enabled.mechanisms"] = strings.Join(names, ",")
	return p
}

// AddSCRAMUser makes SASLUser known to both SCRAM mechanisms, over TLS.
func (b *Broker) AddSCRAMUser(ctx context.Context) error {
	return b.withOracle(func(o *Oracle) error {
		// A request names a user once.
		for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
			altered, err := o.admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
				{User: SASLUser, Mechanism: m, Iterations: scramIterations, Password: SASLPassword},
			})
			if err == nil {
				err = altered.Error()
			}
			if err != nil {
				return fmt.Errorf("add %v credentials of %s: %w", m, SASLUser, err)
			}
		}
		return nil
	})
}

// SASLProperties returns what a Java client needs to talk to SASLAddr by PLAIN.
func SASLProperties() map[string]string { return SASLPropertiesOf(Plain) }

// SASLPropertiesOf is SASLProperties for any mechanism.
func SASLPropertiesOf(m Mechanism) map[string]string {
	return map[string]string{
		"security.protocol": "SASL_PLAINTEXT",
		"sasl.mechanism":    string(m),
		"sasl.jaas.config":  m.login(),
	}
}

// StandardAuthorizer are Options.Properties by which the broker checks access
// control lists. Nobody is refused what no list names, and who has not
// authenticated, as the oracle has not, may do everything.
func StandardAuthorizer() map[string]string {
	return map[string]string{
		"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found": "true",
		"super.users":                    "User:ANONYMOUS",
	}
}
