// SPDX-License-Identifier: Apache-2.0

// Package privilege holds the test of what docs/privileges.md promises: the
// collector that users get runs as an ordinary user with exactly the documented
// capabilities, beside a broker and consumers of other users. With all of them
// it says what the broker says; without one of them just that is lost which the
// documentation says, and no more. What is in deploy/systemd and
// deploy/container asks for the same.
//
// It needs root, setpriv, unshare, setcap and systemd-analyze (test/install.sh
// systemd), and the collector (make build). The broker is kfake: the receiver
// cannot tell it from Kafka's own by anything that a privilege is for.
//
//	make test-privilege
package privilege
