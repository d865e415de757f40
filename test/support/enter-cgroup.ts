// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Enters a control group and becomes Node with the arguments that follow: `node enter-cgroup.ts DIR ARGUMENTS…`. So V8
// finds the limit when it starts, as it does in a container.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

const [dir = "", ...args] = process.argv.slice(2);
writeFileSync(join(dir, "cgroup.procs"), String(process.pid));
process.execve?.(process.execPath, [process.execPath, ...args], process.env);
