// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The edge of the process: arguments, environment, signals, streams and exit codes are touched here alone.
// Invariant: no logic; a command gets what it needs, and its answer becomes the exit code.

import { execFile } from "node:child_process";
import { VERSION } from "../../src/app/version.ts";
import { KubeClient } from "../../src/kube/client.ts";
import { KubeConfigError, type LoadedKubeConfig, loadKubeConfig } from "../../src/kube/kubeconfig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { getErrorMessage } from "../../src/lib/error-message.ts";
import { COMPLETE, complete } from "./commands/completion.ts";
import { type Commands, dispatch } from "./dispatch.ts";
import { createUsageError, EXIT, PluginError } from "./reports/problem.ts";
import { createClusterReports, parseLease } from "./reports/sources/cluster-reports.ts";
import { createDirectoryReports } from "./reports/sources/directory-reports.ts";
import { type Definition, type Flags, parseCall } from "./session/arguments.ts";
import type { RunProgram, Session } from "./session/session.ts";
import type { PluginTerminal } from "./session/terminal.ts";
import { plain } from "./text/escape.ts";

const { stdout, stderr, env } = process;

const terminal: PluginTerminal = {
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  isInteractive: stdout.isTTY === true,
  hasColor: stdout.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb",
  // 0 on a terminal that does not know its width, as in some CI systems.
  columns: (stdout.isTTY && stdout.columns) || undefined,
};

const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

const run: RunProgram = (file, args, options) =>
  new Promise((resolve, reject) => {
    const settings = { cwd: options.cwd, env: { ...env, ...options.env }, maxBuffer: MAX_OUTPUT_BYTES };
    execFile(file, [...args], settings, (error, out, err) => {
      if (error === null) resolve({ code: 0, stdout: out, stderr: err });
      else if (typeof error.code === "number") resolve({ code: error.code, stdout: out, stderr: err });
      else reject(error);
    });
  });

async function runMain(
  argv: readonly string[],
  definitions: readonly Definition[],
  commands: Commands,
): Promise<number> {
  const stop = new AbortController();
  const open = (flags: Flags) => openSession(flags, stop.signal);
  if (argv[0] === COMPLETE) {
    terminal.out(await complete(argv.slice(1), open, definitions));
    return EXIT.ok;
  }
  const call = parseCall(argv, VERSION, definitions);
  if ("exit" in call) {
    terminal.out(call.stdout);
    terminal.err(call.stderr);
    return call.exit;
  }
  if (call.command === "version") {
    terminal.out(`kubectl-violations ${VERSION} (Node.js ${process.versions.node})\n`);
    return EXIT.ok;
  }
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(EXIT.failed);
      stop.abort();
    });
  }
  return await dispatch(call, open, commands);
}

function openSession(flags: Flags, signal: AbortSignal): Session {
  const common = { terminal, clock: systemClock, signal, run, leftOut: new Set<string>() };
  if (flags.from !== undefined) {
    return { ...common, source: createDirectoryReports(flags.from), contextNamespace: undefined, contexts: [] };
  }
  const kubeConfig = loadKubeConfig({ path: flags.kubeconfig, context: flags.context, env });
  impersonate(kubeConfig, flags);
  const client = new KubeClient({ kubeConfig, version: VERSION, clock: systemClock });
  return {
    ...common,
    source: createClusterReports({ client, signal, operatorLease: parseLease(flags.operatorLease) }),
    contextNamespace: kubeConfig.namespace,
    context: kubeConfig.config.getCurrentContext(),
    contexts: kubeConfig.config.getContexts().map(({ name }) => name),
  };
}

/** Flags take precedence over the kubeconfig. */
function impersonate(kubeConfig: LoadedKubeConfig, { as, asGroup = [] }: Flags): void {
  if (as === undefined && asGroup.length === 0) return;
  const user = kubeConfig.config.getCurrentUser();
  if (!user) throw createUsageError("--as: the context has no user; choose another --context.");
  if (as !== undefined) Object.assign(user, { impersonateUser: as });
  if (!user.impersonateUser) throw createUsageError("--as-group needs --as: groups belong to a user.");
  if (asGroup.length > 0) kubeConfig.headers = { ...kubeConfig.headers, "Impersonate-Group": [...asGroup] };
}

/** Runs a call of the process's own arguments, and ends the process with its exit code. */
export function runProcess(definitions: readonly Definition[], commands: Commands): void {
  // A closed pipe (`| head`) is not a failure, and leaves the exit code of a gate as it is.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    terminal.err(`error: cannot write to standard output: ${plain(error.message)}.\n`);
    process.exit(EXIT.failed);
  });
  runMain(process.argv.slice(2), definitions, commands).then(
    (code) => {
      process.exitCode = code;
      // The error of a write is an event of a later turn.
      stdout.write("", () => setImmediate(() => process.exit(code)));
    },
    (error: unknown) => {
      const isForUser = error instanceof PluginError || error instanceof KubeConfigError;
      const text =
        isForUser || !(error instanceof Error) ? plain(getErrorMessage(error)) : (error.stack ?? error.message);
      terminal.err(`error: ${text}\n`);
      process.exit(
        error instanceof PluginError ? error.exit : error instanceof KubeConfigError ? EXIT.usage : EXIT.failed,
      );
    },
  );
}
