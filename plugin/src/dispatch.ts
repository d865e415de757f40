// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The function of each command.

import { runAudit } from "./audit/audit.ts";
import { accept, listAccepted } from "./commands/accept.ts";
import { explain } from "./commands/explain.ts";
import { list } from "./commands/list.ts";
import { runReadiness } from "./commands/readiness.ts";
import { runTimeline } from "./commands/timeline.ts";
import { exportReports } from "./export/export.ts";
import { runGate } from "./gate/gate.ts";
import { createUsageError, EXIT, type ExitCode } from "./reports/problem.ts";
import type { Call, Flags } from "./session/arguments.ts";
import type { Session } from "./session/session.ts";

type CommandCall = Extract<Call, { command: string }>;
export type Command = (session: Session, flags: Flags, args: readonly string[]) => Promise<ExitCode>;
export type Commands = Readonly<Record<string, Command>>;

export const RUN: Commands = {
  list,
  explain: (session, flags, [target = ""]) => explain(session, target, flags),
  timeline: runTimeline,
  readiness: (session, flags, [policy]) => runReadiness(session, policy, flags),
  accept: (session, flags, [id = ""]) => accept(session, id, flags),
  accepted: listAccepted,
  gate: runGate,
  export: exportReports,
  audit: runAudit,
};

/** Runs a command; `open` opens the session when it is needed. An answer that lacks reports is not an answer of 0. */
export async function dispatch(
  { command, args, flags }: CommandCall,
  open: (flags: Flags) => Session,
  commands = RUN,
): Promise<ExitCode> {
  const run = commands[command];
  if (!run) throw createUsageError(`unknown command "${command}".`);
  const session = open(flags);
  const exit = await run(session, flags, args);
  return exit === EXIT.ok && session.leftOut.size > 0 ? EXIT.failed : exit;
}
