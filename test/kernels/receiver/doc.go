// SPDX-License-Identifier: Apache-2.0

// Package receiver tests the whole receiver, made by its factory, where there is no Java: with a broker in memory and a
// client of franz-go, which are processes of their own because the receiver ignores its own.
package receiver
