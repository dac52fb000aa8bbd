// SPDX-License-Identifier: Apache-2.0

// Package storms tests, as root, the built collector's programs over their life:
// started twice, reloaded, killed; and under more connections and processes than
// any host should have, after which nothing may be left in any map, and during
// which no number may be wrong.
//
// The broker of these tests knows two requests and answers them at once, so that
// it keeps up. What it has acknowledged is the truth.
package storms
