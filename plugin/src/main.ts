// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The kubectl plugin.

import { RUN } from "./dispatch.ts";
import { runProcess } from "./process.ts";
import { COMMANDS } from "./session/arguments.ts";

runProcess(COMMANDS, RUN);
