// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The plugin of the GitOps image: as everywhere, and `push`, which needs the image's git and ssh.

import { RUN } from "../dispatch.ts";
import { runProcess } from "../process.ts";
import { COMMANDS, PUSH } from "../session/arguments.ts";
import { push } from "./push.ts";

runProcess([...COMMANDS, PUSH], { ...RUN, push });
