// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The repository as text: which files there are, what they import, and their code without comments and strings. No
// parser: what is looked for is simple, and a rule that reads more than it needs breaks for no reason.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");

export interface SourceFile {
  /** From the repository's root, with slashes. */
  path: string;
  text: string;
}

export interface Import {
  from: string;
  /** A path from the root for our own files, else the package's or module's name. */
  to: string;
  isTypeOnly: boolean;
}

/** Every TypeScript file below these folders; a folder that is not there has none. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  const present = folders.filter((folder) => existsSync(join(ROOT, folder)));
  return present.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .filter((entry) => !/(?:^|\/)(?:node_modules|dist)(?:\/|$)/.test(relative(ROOT, entry.parentPath)))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => ({ path: relative(ROOT, path), text: readFileSync(path, "utf8") })),
  );
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:([^;"'()=]*?)\s+from\s+)?"([^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"([^"]+)"/g;

/** Imports and re-exports of a file. */
export function getImports({ path, text }: SourceFile): Import[] {
  const resolve = (name: string) => (name.startsWith(".") ? normalize(join(dirname(path), name)) : name);
  const found = [...text.matchAll(STATEMENT)].map(([, type, names = "", to = ""]) => ({
    from: path,
    to: resolve(to),
    isTypeOnly: type !== undefined || areOnlyTypes(names),
  }));
  const dynamic = [...text.matchAll(DYNAMIC)].map(([, to = ""]) => ({
    from: path,
    to: resolve(to),
    isTypeOnly: false,
  }));
  return [...found, ...dynamic];
}

/** `{ type A, type B }` */
function areOnlyTypes(names: string): boolean {
  const list = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
  const parts = list?.split(",").filter((part) => part.trim() !== "") ?? [];
  return parts.length > 0 && parts.every((part) => part.trim().startsWith("type "));
}

const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|(?<=[=(,:[!&|?{};\n]\s*|=>\s*|return\s+)\/(?![/*])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;

/** The code without comments, strings, templates and expressions, line for line; what a template embeds stays. */
export function getCode(text: string): string {
  return text.replace(TOKEN, (token) => {
    const embedded = token.startsWith("`") ? [...token.matchAll(/\$\{([^}]*)\}/g)].map(([, code]) => code) : [];
    return `"${embedded.join(" ")}"${"\n".repeat(token.split("\n").length - 1)}`;
  });
}

const EXPORTED =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|let|interface|type|enum) ([\w$]+)/gm;

const RENAMED = /^export (?:type )?\{[^}]*?\bas ([\w$]+)/gm;

/** Names that a file declares and exports; overloads count once. */
export function listExportedNames({ text }: SourceFile): string[] {
  return [...new Set([...text.matchAll(EXPORTED), ...text.matchAll(RENAMED)].map(([, name = ""]) => name))];
}

export interface ClassShape {
  name: string;
  /** Names that do not begin with `#`; a getter and its setter count once. */
  publicMembers: string[];
  constructorLines: number;
}

const CLASS = /^( *)(?:export |return |const \w+ = )?(?:abstract )?class (\w+)[^{]*\{\n([\s\S]*?)^\1\}/gm;
const MEMBER =
  /^ {2}(?:(?:readonly|get|set|async|static|override|declare|abstract) )*\*?([A-Za-z_$][\w$]*)(?=[(<:=?;!]| =|$)/gm;

/** Classes of a file, in the layout of the formatter. */
export function listClassShapes({ text }: SourceFile): ClassShape[] {
  return [...text.matchAll(CLASS)].map(([, indent = "", name = "", indented = ""]) => {
    const body = indented.replace(new RegExp(`^${indent}`, "gm"), "");
    const members = [...body.matchAll(MEMBER)].map(([, member = ""]) => member);
    const built = /^ {2}(?:private |protected )?constructor\([\s\S]*?^ {2}\}/m.exec(body)?.[0] ?? "";
    return {
      name,
      publicMembers: [...new Set(members)].filter((member) => member !== "constructor"),
      constructorLines: built === "" ? 0 : built.split("\n").length,
    };
  });
}

/** Objects that a function builds after what refers to them. */
export function listLateParts({ path, text }: SourceFile): string[] {
  const blocks = getCode(text)
    .split(/^\}/m)
    .flatMap((block) => (/^(?:export )?class /m.test(block) ? block.split(/^ {2}\}$/m) : [block]));
  return blocks.flatMap((block) =>
    [...block.matchAll(/^ +const (\w+)(?:: \w+)? = (?:await )?new [A-Z]/gm)]
      .filter(({ 1: name, index }) => new RegExp(`=> [^\\n]*(?<![.#\\w])${name}[.(?]`).test(block.slice(0, index)))
      .map(([, name]) => `${path}: ${name}`),
  );
}

/**
 * Variables without a value that are referred to before the block of their declaration assigns one: only a callback can
 * do that to any effect. The formatter's indentation tells the block.
 */
export function listLateVariables({ path, text }: SourceFile): string[] {
  const late =
    /^( *)let (\w+)(?:: [^;=]+)?;\n(?:(?!\1\2 = )(?:\1.*)?\n)*?\1(?!\2 = ).*(?<![.#\w])\2\b.*\n(?:(?:\1.*)?\n)*?\1\2 = /gm;
  return [...getCode(text).matchAll(late)].map(([, , name]) => `${path}: ${name}`);
}

/** Types that functions without arguments return, where a field, a method of an interface or a parameter is one. */
export function listThunks({ path, text }: SourceFile): { path: string; type: string }[] {
  const thunk = /(?:\(\) => |^ {2}\w+\(\): )(?:Promise<)?(\w+)\b(?:> *)?(?: \| undefined)?(?=[;,)])/gm;
  return [...getCode(text).matchAll(thunk)].map(([, type = ""]) => ({ path, type }));
}
