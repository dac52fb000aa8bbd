// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func Loop(turns uint64)
TEXT ·Loop(SB), NOSPLIT, $0-8
	MOVQ turns+0(FP), AX
turn:
	DECQ AX
	JNZ  turn
	RET
