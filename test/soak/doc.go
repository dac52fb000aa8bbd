// SPDX-License-Identifier: Apache-2.0

// Package soak runs the built collector beside clients that rebalance without
// end, and holds every value that it exposes against what the broker answered
// shortly before and after; and watches that it uses no more of anything than
// before.
package soak
