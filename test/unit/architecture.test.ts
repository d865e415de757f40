// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// ARCHITECTURE.md names every room in the order of the layers, files that exist, and every package.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { getRoom, ROOMS } from "./rooms.ts";
import { getImports, ROOT, sourceFiles } from "./source-code.ts";

const TEXT = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");
/** The sections on rooms, by the folder in their heading. */
const ROOM_SECTIONS = TEXT.split(/^(?=#{2,3} )/m).flatMap((text) => {
  const folder = /^### `([^`]+)`: /.exec(text)?.[1];
  return folder === undefined ? [] : [{ folder, rows: text.split("\n").filter((line) => line.startsWith("| ")), text }];
});
/** A row is one behavior, or two or three that differ in a few words: not a paragraph. */
const MAX_ROW_LENGTH = 180;

function listCode(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
}

function listPaths(text: string): string[] {
  return listCode(text).filter((code) => /^[\w./-]+(?:\.(?:tsx?|mjs|tpl|yaml)|\/)$/.test(code));
}

it("names files relative to the folder in the heading of their room, and others relative to the root", () => {
  const paths = ROOM_SECTIONS.flatMap(({ folder, rows }) => rows.flatMap(listPaths).map((path) => join(folder, path)));
  expect(paths.length).toBeGreaterThan(200);
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  const others = listPaths(ROOM_SECTIONS.reduce((rest, { text }) => rest.replace(text, ""), TEXT));
  expect(others.length).toBeGreaterThan(30);
  expect(others.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

it("has one file for each part of a behavior, in short rows", () => {
  const rows = ROOM_SECTIONS.flatMap((section) => section.rows).filter((row) => row !== "| behavior | file |");
  expect(rows.length).toBeGreaterThan(150);
  expect(rows.filter((row) => row.length > MAX_ROW_LENGTH)).toEqual([]);
  const countParts = ([, behavior = ""]: string[]) => behavior.split(";").length;
  const uneven = rows.filter((row) => countParts(row.split("|")) !== listPaths(row.split("|")[2] ?? "").length);
  expect(uneven).toEqual([]);
});

it("has a section for each room of src, and its place in the order of the layers", () => {
  const [, block = ""] = /^```\n(main\.ts [\s\S]*?)\n```$/m.exec(TEXT) ?? [];
  const layers = block
    .split("\n")
    .map((line) =>
      line
        .replace(/[│▼].*/, "")
        .trim()
        .split(/ {2,}/),
    )
    .reverse();
  const rooms = Object.keys(ROOMS).sort();
  expect(layers.flat().sort()).toEqual(rooms);
  const described = ROOM_SECTIONS.flatMap(({ folder }) => /^src\/(\w+)$/.exec(folder)?.[1] ?? []);
  expect([...described, "main.ts"].sort()).toEqual(rooms);
  const findLayer = (path: string) => layers.findIndex((line) => line.includes(getRoom(path)));
  const arrows = sourceFiles("src")
    .flatMap(getImports)
    .filter(({ from, to }) => to.startsWith("src/") && getRoom(from) !== getRoom(to));
  expect(arrows.length).toBeGreaterThan(500);
  expect(arrows.filter(({ from, to }) => findLayer(from) <= findLayer(to))).toEqual([]);
});

it("has the order of the layers within rooms", () => {
  const rows = [...TEXT.matchAll(/^\| `([\w/]+)` \| ([a-z]+(?:(?:, | \+ )[a-z]+)+) \|$/gm)];
  expect(rows.map(([, parent]) => parent)).toEqual(["src/ingest", "src/aggregate", "src/scale", "plugin/src"]);
  const wrong = rows.flatMap(([, parent = "", text = ""]) => {
    const layers = text.split(", ").map((layer) => layer.split(" + "));
    const folders = layers.flat();
    const getFolder = (path: string) => folders.find((folder) => path.startsWith(`${parent}/${folder}/`));
    const findLayer = (folder: string) => layers.findIndex((layer) => layer.includes(folder));
    return sourceFiles(parent)
      .flatMap(getImports)
      .flatMap(({ from, to }) => {
        const [importer, imported] = [getFolder(from), getFolder(to)];
        if (importer === undefined || imported === undefined || importer === imported) return [];
        return findLayer(importer) > findLayer(imported) ? [] : [`${from} -> ${to}`];
      });
  });
  expect(wrong).toEqual([]);
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
