// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The rules of ARCHITECTURE.md and CONTRIBUTING.md that a machine can check, so that no reviewer has to.

import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { getRoom, ROOMS } from "./rooms.ts";
import {
  getCode,
  getImports,
  type Import,
  listClassShapes,
  listExportedNames,
  listLateParts,
  listLateVariables,
  listThunks,
  ROOT,
  type SourceFile,
  sourceFiles,
} from "./source-code.ts";

const SRC = sourceFiles("src");
const PLUGIN = sourceFiles("plugin/src");
const HEADLAMP = sourceFiles("headlamp/src");
const ALL = sourceFiles("src", "plugin", "headlamp/src", "headlamp/test", "tools", "test", "bench");
const IMPORTS = SRC.flatMap(getImports);

/** Packages that each room may import; `node:*` is every module of Node's own. */
const PACKAGES: Record<string, readonly string[]> = {
  lib: ["node:crypto"],
  alerts: ["node:*", "@grpc/grpc-js"],
  kube: ["node:*", "@kubernetes/client-node", "undici", "yaml"],
  config: ["node:*", "yaml", "zod"],
  acceptance: ["zod"],
  telemetry: ["node:*", "pino", "@prometheus-io/client"],
  sinks: ["node:*", "yaml"],
  events: ["lru-cache"],
  journal: ["node:*"],
  scale: ["zod", "@nats-io/jetstream", "@nats-io/transport-node", "node:crypto", "node:net", "node:tls"],
  app: ["node:*", "package.json"],
  cli: ["node:*", "commander"],
  "main.ts": ["node:*"],
};

/** The only files of `src` that the plugin may import: contracts, and the client that reads reports. */
const FOR_PLUGIN: readonly string[] = [
  "src/api/",
  "src/lib/",
  "src/aggregate/counts/coverage-gap.ts",
  "src/aggregate/gaps/stated-gaps.ts",
  "src/aggregate/gaps/stream-gap-text.ts",
  "src/app/version.ts",
  "src/cli/program.ts",
  "src/ingest/violation/report-name.ts",
  "src/kube/api-error.ts",
  "src/kube/client.ts",
  "src/kube/kubeconfig.ts",
  "src/kube/list.ts",
  "src/sinks/directory-sink.ts",
  "src/sinks/make-folder.ts",
];

function isAllowed({ from, to }: Import): boolean {
  const room = getRoom(from);
  if (!to.startsWith("src/")) {
    return (PACKAGES[room] ?? []).some((name) => name === to || (name === "node:*" && to.startsWith("node:")));
  }
  if (getRoom(to) === room) return true;
  const rooms = ROOMS[room] ?? [];
  return rooms.includes("*") || rooms.includes(getRoom(to));
}

describe("imports", () => {
  it("are found: a rule over nothing holds", () => {
    expect(IMPORTS.length).toBeGreaterThan(100);
    expect(IMPORTS.filter(({ isTypeOnly }) => isTypeOnly).length).toBeGreaterThan(30);
    const sample = {
      path: "src/a/b.ts",
      text: `import { type A, type B } from "../c/d.ts";\nimport { type A, b } from "x";\nexport { c } from "./e.ts";\nimport "y";\nconst z = await import("node:fs");\n`,
    };
    expect(getImports(sample)).toEqual([
      { from: "src/a/b.ts", to: "src/c/d.ts", isTypeOnly: true },
      { from: "src/a/b.ts", to: "x", isTypeOnly: false },
      { from: "src/a/b.ts", to: "src/a/e.ts", isTypeOnly: false },
      { from: "src/a/b.ts", to: "y", isTypeOnly: false },
      { from: "src/a/b.ts", to: "node:fs", isTypeOnly: false },
    ]);
  });

  it("come from known rooms", () => {
    expect([...new Set(SRC.map(({ path }) => getRoom(path)))].filter((room) => !ROOMS[room])).toEqual([]);
  });

  it("follow the layers, types included", () => {
    const wrong = IMPORTS.filter((each) => !isAllowed(each));
    expect(wrong.map(({ from, to, isTypeOnly }) => `${from} -> ${to}${isTypeOnly ? " (type)" : ""}`)).toEqual([]);
  });

  it("name files that exist, with their extension", () => {
    const missing = IMPORTS.filter(({ to }) => to.startsWith("src/") && !existsSync(join(ROOT, to)));
    expect(missing).toEqual([]);
  });

  it("of src never reach into plugin, tools, test or bench", () => {
    expect(IMPORTS.filter(({ to }) => /^(plugin|tools|test|bench)\//.test(to))).toEqual([]);
  });

  it("of the plugin reach only what src offers to it", () => {
    const imports = PLUGIN.flatMap(getImports).filter(({ to }) => to.startsWith("src/"));
    expect(imports.length).toBeGreaterThan(20);
    const isOffered = (to: string) =>
      FOR_PLUGIN.some((path) => to === path || (path.endsWith("/") && to.startsWith(path)));
    expect(imports.filter(({ to }) => !isOffered(to)).map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it("of packages by the plugin are its own dependencies", () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, "plugin/package.json"), "utf8"));
    const packages = PLUGIN.flatMap(getImports)
      .filter(({ isTypeOnly }) => !isTypeOnly)
      .map(({ to }) => to)
      .filter((to) => !/^(?:node:|src\/|plugin\/)/.test(to));
    expect(packages.length).toBeGreaterThan(4);
    const names = packages.map((to) => /^(?:@[^/]+\/)?[^/]+/.exec(to)?.[0] ?? "");
    expect(names.filter((name) => !(name in dependencies))).toEqual([]);
  });

  it("of the Headlamp plugin reach only contracts, lib and what the kubectl plugin knows of reports", () => {
    const imports = HEADLAMP.flatMap(getImports).filter(({ to }) => /^(?:src|plugin|test)\//.test(to));
    expect(imports.length).toBeGreaterThan(10);
    const isOffered = (to: string) => /^(?:src\/(?:api|lib)|plugin\/src\/(?:reports|text))\//.test(to);
    expect(imports.filter(({ to }) => !isOffered(to)).map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it.each<[string, readonly Import[], number]>([
    ["src", IMPORTS, 100],
    ["plugin/src", PLUGIN.flatMap(getImports), 100],
    ["headlamp/src", HEADLAMP.flatMap(getImports), 20],
  ])("between the folders of %s make no circle, types included", (folder, imports, atLeast) => {
    const folders = imports
      .filter(({ to }) => to.startsWith(`${folder}/`))
      .map((each) => ({ ...each, from: dirname(each.from), to: dirname(each.to) }))
      .filter(({ from, to }) => from !== to);
    expect(folders.length).toBeGreaterThan(atLeast);
    expect(findCircles(folders)).toEqual([]);
  });

  it("make no circle, types included", () => {
    expect(findCircles(HEADLAMP.flatMap(getImports))).toEqual([]);
    expect(findCircles(IMPORTS.filter(({ to }) => to.startsWith("src/")))).toEqual([]);
    expect(findCircles(PLUGIN.flatMap(getImports))).toEqual([]);
    const edge = (from: string, to: string) => ({ from, to, isTypeOnly: false });
    expect(findCircles([edge("a", "b"), edge("b", "c"), edge("c", "b")])).toEqual(["b -> c -> b"]);
  });
});

/** Every circle, once, as a path. */
function findCircles(imports: readonly Import[]): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) found.add([...path.slice(at), file].join(" -> "));
    if (at >= 0 || done.has(file)) return;
    for (const { from, to } of imports) if (from === file) visit(to, [...path, file]);
    done.add(file);
  };
  for (const { from } of imports) visit(from, []);
  return [...found];
}

/** Place of the banned word: `path:line`. */
function findUses(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    getCode(text)
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );
}

function excludeFiles(...paths: readonly string[]): SourceFile[] {
  return SRC.filter(({ path }) => !paths.some((allowed) => path === allowed || path.startsWith(`${allowed}/`)));
}

describe("time, chance and the process", () => {
  it.each<[string, RegExp, SourceFile[]]>([
    ["Date.now", /\bDate\.now\b/, excludeFiles("src/lib/clock.ts")],
    ["new Date()", /\bnew Date\(\s*\)|\bDate\(\s*\)/, excludeFiles("src/lib/clock.ts")],
    ["performance.now", /\bperformance\.|\bhrtime\b/, excludeFiles("src/lib/clock.ts")],
    ["Math.random", /\bMath\.random\b/, excludeFiles("src/lib/clock.ts")],
    ["timers", /\bset(Timeout|Interval)\b|\bAbortSignal\.timeout\b/, excludeFiles("src/lib/clock.ts")],
    ["setImmediate and node:timers", /\bsetImmediate\b/, excludeFiles("src/lib/clock.ts")],
    ["process", /\bprocess\./, excludeFiles("src/main.ts", "plugin/src/main.ts")],
    ["console", /\bconsole\./, excludeFiles("src/cli")],
  ])("%s stays in its place", (_name, pattern, files) => {
    expect(findUses(files, pattern)).toEqual([]);
  });

  it("are not imported from a module of Node's", () => {
    const banned = /^node:(?:process|timers|timers\/promises|perf_hooks)$/;
    const wrong = IMPORTS.filter(({ from, to }) => banned.test(to) && from !== "src/lib/clock.ts");
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it("are looked for in code, not in comments and strings", () => {
    const text = [
      "// Date.now()",
      'const a = "Date.now()";',
      "/* Date.now()",
      "*/ const b = `x ${Date.now()}`;",
      "const c = /[\"']/; Date.now();",
      'const url = "https://x"; Date.now();',
    ].join("\n");
    const lines = findUses([{ path: "x", text }], /\bDate\.now\b/).map((use) => use.split(":")[1]);
    expect(lines).toEqual(["4", "5", "6"]);
  });
});

describe("the language", () => {
  it.each<[string, RegExp]>([
    ["no default export", /\bexport default\b/],
    [
      "no enum, namespace or parameter property",
      /\b(?:enum|namespace)\s+\w+\s*\{|constructor\([^)]*\b(?:private|public|readonly)\s/,
    ],
    ["no silenced compiler", /@ts-(?:ignore|nocheck)/],
    ["no empty catch", /\bcatch\s*(?:\([^)]*\))?\s*\{\s*\}/],
    ["no debugger", /\bdebugger\b/],
  ])("has %s", (_name, pattern) => {
    // A file that a tool reads must export what the tool wants.
    const files = ALL.filter(({ path }) => !path.endsWith(".config.ts"));
    expect(findUses(files, pattern)).toEqual([]);
  });

  it("has no any, but where a comment for the linter says why", () => {
    const any = /[:<|&,(]\s*any\b(?!\s*[(:])|\bas any\b|\bany\[\]/;
    const unexplained = ALL.flatMap(({ path, text }) => {
      const lines = text.split("\n");
      return getCode(text)
        .split("\n")
        .flatMap((line, i) =>
          any.test(line) && !/biome-ignore lint\/suspicious\/noExplicitAny: \S/.test(lines[i - 1] ?? "")
            ? [`${path}:${i + 1}: ${line.trim()}`]
            : [],
        );
    });
    expect(unexplained).toEqual([]);
  });

  it("has no test that is left out or alone", () => {
    const tests = ALL.filter(({ path }) => path.endsWith(".test.ts"));
    expect(tests.length).toBeGreaterThan(20);
    expect(findUses(tests, /\b(?:it|test|describe)\.(?:only|todo)\b|\bvi\.mock\b/)).toEqual([]);
  });

  it("has no test of a running operator that reads the text of its log", () => {
    const beds = ALL.filter(({ path }) => /^test\/(?:e2e|integration|real-node|soak|support)\//.test(path));
    expect(beds.length).toBeGreaterThan(50);
    expect(findUses(beds, /\bmsg\b/)).toEqual([]);
  });
});

describe("files", () => {
  const MAX_LINES = 400;
  const MAX_SRC_LINES = 300;
  const MAX_FILES = 15;

  it(`have at most ${MAX_LINES} lines, those of src ${MAX_SRC_LINES}`, () => {
    const lines = ALL.map(({ path, text }) => ({ path, count: text.split("\n").length - 1 }));
    const isLong = ({ path, count }: (typeof lines)[number]) =>
      count > (path.startsWith("src/") ? MAX_SRC_LINES : MAX_LINES);
    expect(lines.filter(isLong)).toEqual([]);
  });

  it(`of src and the plugin lie at most ${MAX_FILES} in a folder`, () => {
    const counts = new Map<string, number>();
    for (const { path } of [...SRC, ...PLUGIN]) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > MAX_FILES)).toEqual([]);
  });

  it("state their license and their purpose", () => {
    const bare = ALL.filter(
      ({ text }) =>
        !/^(?:#![^\n]*\n)?\/\/ SPDX-License-Identifier: Apache-2\.0\n\/\/ Copyright The policy-violation-operator Authors\n/.test(
          text,
        ),
    );
    expect(bare.map(({ path }) => path)).toEqual([]);
    const silent = SRC.filter(({ text }) => !/^\/\/[^\n]*\n\/\/[^\n]*\n\n\/\/ \S/.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it("have names that say something, in kebab-case", () => {
    const vague =
      /^(?:utils?|helpers?|index|common|types?|misc|shared|constants|manager)(?:\.test)?\.ts$|(?:manager|helper|util)s?\.ts$/;
    const wrong = ALL.map(({ path }) => path).filter(
      (path) => vague.test(basename(path)) || !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*\.tsx?$/.test(basename(path)),
    );
    expect(wrong).toEqual([]);
  });
});

describe("names and classes of src", () => {
  const MAX_PUBLIC_MEMBERS = 15;
  const MAX_CONSTRUCTOR_LINES = 30;

  it("are exported once", () => {
    const names = SRC.flatMap(listExportedNames);
    expect(names.length).toBeGreaterThan(500);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it(`have at most ${MAX_PUBLIC_MEMBERS} public members, and constructors of ${MAX_CONSTRUCTOR_LINES} lines`, () => {
    const shapes = SRC.flatMap(listClassShapes);
    expect(shapes.length).toBeGreaterThan(60);
    const large = shapes.filter(({ publicMembers }) => publicMembers.length > MAX_PUBLIC_MEMBERS);
    expect(large.map(({ name, publicMembers }) => `${name}: ${publicMembers.length}`)).toEqual([]);
    const long = shapes.filter(({ constructorLines }) => constructorLines > MAX_CONSTRUCTOR_LINES);
    expect(long.map(({ name, constructorLines }) => `${name}: ${constructorLines}`)).toEqual([]);
  });

  it("never get a part by a thunk: it would hide an arrow back", () => {
    const classes = new Set(SRC.flatMap(listClassShapes).map(({ name }) => name));
    // What is counted, not a part that counts.
    classes.delete("Entry");
    const thunks = SRC.flatMap(listThunks);
    expect(thunks.length).toBeGreaterThan(50);
    expect(thunks.filter(({ type }) => classes.has(type)).map(({ path, type }) => `${path}: ${type}`)).toEqual([]);
    const text =
      "interface A {\n  a: () => B;\n  c(): Promise<D>;\n}\nfunction f(e: () => G | undefined, h: (() => I) | J) {\n";
    expect(listThunks({ path: "x", text }).map(({ type }) => type)).toEqual(["B", "D", "G", "I"]);
  });

  it("are built before any callback that asks them", () => {
    expect(SRC.flatMap(listLateParts)).toEqual([]);
    const late = "function f() {\n  const a = new A(() => b.size);\n  const b = new B(a);\n}\n";
    const inOrder = "function f() {\n  const b = new B();\n  const a = new A(() => b.size);\n}\n";
    expect([late, inOrder].map((text) => listLateParts({ path: "x", text }))).toEqual([["x: b"], []]);
  });

  it("are bound where they are declared, not later by a variable", () => {
    expect(SRC.flatMap(listLateVariables)).toEqual([]);
    const bind = (declared: string, used: string) => ({
      path: "x",
      text: `function f() {\n  ${declared};\n  ${used};\n  b = createB(a);\n}\n`,
    });
    expect(listLateVariables(bind("let b: B", "const a = new A(() => b.size)"))).toEqual(["x: b"]);
    expect(listLateVariables(bind("let b: B | undefined", "const a = createA({\n    get: () => b,\n  })"))).toEqual([
      "x: b",
    ]);
    expect(listLateVariables(bind("let b: B", "const a = new A((c) => c.b)"))).toEqual([]);
    expect(listLateVariables(bind("let b = 0", "const a = new A(() => b)"))).toEqual([]);
  });
});

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

describe("what is tracked", () => {
  const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: ROOT, encoding: "utf8" })
    .split("\0")
    .filter((path) => path !== "" && isFile(join(ROOT, path)));
  const texts = tracked.map((path) => ({ path, text: readFileSync(join(ROOT, path), "latin1") }));

  it("holds no path of this machine", () => {
    expect(texts.filter(({ text }) => text.includes(`${ROOT}/`)).map(({ path }) => path)).toEqual([]);
  });

  it("names no package registry, so that any mirror serves", () => {
    const lock = texts.find(({ path }) => path === "package-lock.json")?.text ?? "";
    expect(lock).toContain('"lockfileVersion": 3');
    // The workspace is a link, not a package of a registry.
    expect([...lock.matchAll(/"resolved": "([^"]*)"/g)].map(([, where]) => where)).toEqual(["plugin"]);
    const named = texts.filter(({ path, text }) => /(?:^|\/)\.npmrc$/.test(path) && /registry\s*=/.test(text));
    expect(named.map(({ path }) => path)).toEqual([]);
    const hosts = /https?:\/\/(?:registry\.npm|[a-z0-9.-]*(?:artifactory|nexus|verdaccio|npmmirror|goproxy))/i;
    const urls = texts.filter(({ path, text }) => path !== "test/unit/house-rules.test.ts" && hosts.test(text));
    expect(urls.map(({ path }) => path)).toEqual([]);
  });
});
