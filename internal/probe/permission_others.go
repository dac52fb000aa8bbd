// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package probe

import (
	"errors"
	"os"
)

func isPermission(err error) bool { return errors.Is(err, os.ErrPermission) }
