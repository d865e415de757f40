// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Which command does what a call asks for.

import type { Call, Flags } from "./arguments.ts";
import { explain } from "./explain.ts";
import { exportReports } from "./export.ts";
import { list } from "./list.ts";
import { type ExitCode, wrongCall } from "./problem.ts";
import type { Session } from "./session.ts";

type Asked = Extract<Call, { command: string }>;
type Command = (session: Session, flags: Flags, args: readonly string[]) => Promise<ExitCode>;

const BY_NAME: Readonly<Record<string, Command>> = {
  list,
  explain: (session, flags, [what = ""]) => explain(session, what, flags),
  export: exportReports,
};

/** Does what a call asks for; `open` gives the session when it is needed. */
export async function dispatch(
  { command, args, flags }: Asked,
  open: (flags: Flags) => Session,
): Promise<ExitCode> {
  const run = BY_NAME[command];
  if (!run) throw wrongCall(`there is no command "${command}"`);
  return await run(open(flags), flags, args);
}
