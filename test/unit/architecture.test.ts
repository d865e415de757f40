// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// ARCHITECTURE.md names every room in the order of the layers, files that exist, and every package.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { getRoom, ROOMS } from "./rooms.ts";
import { getImports, ROOT, sourceFiles } from "./source-code.ts";

const TEXT = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");
const LINES = TEXT.split("\n");
/** Rows of the table of rooms. */
const ROWS = LINES.filter((line) => /^\| `(?:src|plugin|headlamp|charts|tools|bench)\//.test(line));

function listCode(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
}

function listPaths(text: string): string[] {
  return listCode(text).filter((code) => /^[\w./-]+(?:\.(?:tsx?|mjs|tpl|yaml)|\/)$/.test(code));
}

it("names files relative to the room of their row, or to the root", () => {
  const isInRoot = (path: string) => path.includes("/") && existsSync(join(ROOT, path));
  const missing = ROWS.flatMap((row) => {
    const [, rooms = "", , files = ""] = row.split("|");
    const isInRoom = (path: string) => listCode(rooms).some((room) => existsSync(join(ROOT, room, path)));
    return listPaths(files).filter((path) => !isInRoom(path) && !isInRoot(path));
  });
  expect(ROWS.flatMap(listPaths).length).toBeGreaterThan(150);
  expect(missing).toEqual([]);
  const others = LINES.filter((line) => !ROWS.includes(line)).flatMap(listPaths);
  expect(others.length).toBeGreaterThan(15);
  expect(others.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

it("has a row for each room of src, and its place in the order of the layers", () => {
  const [, block = ""] = /^```\n(api, lib\n[\s\S]*?)\n```$/m.exec(TEXT) ?? [];
  const layers = block.split("\n").map((line) => line.split(", "));
  const rooms = Object.keys(ROOMS).sort();
  expect(layers.flat().sort()).toEqual(rooms);
  const described = ROWS.flatMap((row) => /^\| `src\/(\w+)`/.exec(row)?.[1] ?? []);
  expect([...described, "main.ts"].sort()).toEqual(rooms);
  const findLayer = (path: string) => layers.findIndex((line) => line.includes(getRoom(path)));
  const arrows = sourceFiles("src")
    .flatMap(getImports)
    .filter(({ from, to }) => to.startsWith("src/") && getRoom(from) !== getRoom(to));
  expect(arrows.length).toBeGreaterThan(500);
  expect(arrows.filter(({ from, to }) => findLayer(from) <= findLayer(to))).toEqual([]);
});

it.each(["package.json", "plugin/package.json", "headlamp/package.json"])(
  "says what each package of %s is for",
  (path) => {
    const named = listCode(TEXT);
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, path), "utf8"));
    const packages = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
    expect(packages.length).toBeGreaterThan(5);
    const isNamed = (name: string) =>
      named.includes(name) || (name.startsWith("@") && named.includes(name.replace(/[^/]+$/, "*")));
    expect(packages.filter((name) => !isNamed(name))).toEqual([]);
  },
);
