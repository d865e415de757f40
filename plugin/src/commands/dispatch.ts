// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Which command does what a call asks for.

import { audit } from "../audit/audit.ts";
import { exportReports } from "../export/export.ts";
import { push } from "../export/push.ts";
import { gate } from "../gate/gate.ts";
import type { PluginTerminal } from "../render/terminal.ts";
import { type ExitCode, usageError } from "../reports/problem.ts";
import type { Call, Flags } from "./arguments.ts";
import { completionScript } from "./completion.ts";
import { explain } from "./explain.ts";
import { list } from "./list.ts";
import { readiness } from "./readiness.ts";
import type { Session } from "./session.ts";
import { timeline } from "./timeline.ts";
import { top } from "./top.ts";

type Asked = Extract<Call, { command: string }>;
type Command = (session: Session, flags: Flags, args: readonly string[]) => Promise<ExitCode>;

const BY_NAME: Readonly<Record<string, Command>> = {
  list,
  explain: (session, flags, [what = ""]) => explain(session, what, flags),
  top,
  timeline,
  readiness: (session, flags, [policy]) => readiness(session, policy, flags),
  export: exportReports,
  push,
  gate,
  audit,
};

/** Does what a call asks for; `open` gives the session when it is needed. */
export async function dispatch(
  { command, args, flags }: Asked,
  terminal: PluginTerminal,
  open: (flags: Flags) => Session,
): Promise<ExitCode> {
  if (command === "completion") return completionScript({ terminal }, args[0] ?? "");
  const run = BY_NAME[command];
  if (!run) throw usageError(`there is no command "${command}"`);
  return await run(open(flags), flags, args);
}
