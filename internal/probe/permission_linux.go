// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"

	"golang.org/x/sys/unix"
)

func isPermission(err error) bool {
	return errors.Is(err, unix.EPERM)
}
