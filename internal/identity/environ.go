// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxNameBytes bounds a declared name, since it is kept for as long as the
// process is and becomes a label of every series. A longer one is not a name,
// and is left out rather than cut.
const maxNameBytes = 1 << 10

// declared is what a process says of itself in its environment. Nothing else of
// the environment is kept.
type declared struct {
	serviceName string
	instanceID  string
	// kubernetes is set by the presence of KUBERNETES_SERVICE_HOST, which the
	// kubelet puts into every container.
	kubernetes bool
}

// readDeclared reads the contents of /proc/PID/environ. Of a variable that is
// there twice the first counts, as for getenv(3); an empty one counts as not
// set, as the OpenTelemetry specification has it.
//
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func readDeclared(environ *words) declared {
	var d declared
	var name, attributes string
	var nameSeen, attributesSeen bool
	for {
		variable, whole, ok := environ.next()
		if !ok {
			break
		}
		key, value, isSet := strings.Cut(string(variable), "=")
		if !isSet || !whole {
			continue
		}
		switch key {
		case "OTEL_SERVICE_NAME":
			if !nameSeen {
				name, nameSeen = value, true
			}
		case "OTEL_RESOURCE_ATTRIBUTES":
			if !attributesSeen {
				attributes, attributesSeen = value, true
			}
		case "KUBERNETES_SERVICE_HOST":
			d.kubernetes = true
		}
	}
	// An error is the process's own SDK's to report; to us it means that nothing
	// is declared.
	d.serviceName, d.instanceID, _ = parseResourceAttributes(attributes)
	if name = declaredName(name); name != "" {
		d.serviceName = name
	}
	return d
}

var errMalformedAttributes = errors.New("malformed resource attributes")

// parseResourceAttributes takes service.name and service.instance.id out of a
// value of OTEL_RESOURCE_ATTRIBUTES: "key=value" pairs with commas between them,
// percent-encoded, white space around keys and values not part of them. Of a key
// that is there twice the last counts. As the specification asks, an error
// anywhere discards the whole value.
//
// https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
func parseResourceAttributes(s string) (serviceName, instanceID string, err error) {
	for pair := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return "", "", fmt.Errorf("%w: a member without \"=\"", errMalformedAttributes)
		}
		// PathUnescape, since "+" is itself in W3C Baggage. Its errors quote the
		// input: they are not passed on.
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, valueErr := url.PathUnescape(strings.TrimSpace(value))
		if keyErr != nil || valueErr != nil {
			return "", "", fmt.Errorf("%w: a member with a wrong percent-encoding", errMalformedAttributes)
		}
		switch key {
		case "service.name":
			serviceName = declaredName(value)
		case "service.instance.id":
			instanceID = declaredName(value)
		}
	}
	return serviceName, instanceID, nil
}

// declaredName makes a name that was read fit to be kept: trimmed, valid UTF-8,
// and a copy, so that it does not hold on to the rest of what was read.
func declaredName(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxNameBytes {
		return ""
	}
	return strings.Clone(validUTF8(s))
}
