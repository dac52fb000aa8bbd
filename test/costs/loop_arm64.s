// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func Loop(turns uint64)
TEXT ·Loop(SB), NOSPLIT, $0-8
	MOVD turns+0(FP), R0
turn:
	SUBS $1, R0, R0
	BNE  turn
	RET
