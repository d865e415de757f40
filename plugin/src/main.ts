// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The kubectl plugin.

import { COMMANDS } from "./commands/arguments.ts";
import { RUN } from "./commands/dispatch.ts";
import { runProcess } from "./process.ts";

runProcess(COMMANDS, RUN);
