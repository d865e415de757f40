// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the little TypeScript that src/api/v1alpha1.ts is written in, since TypeScript 7 has no stable API to ask.
// Invariant: what it does not understand, it refuses; it never skips a member.

import type { Field, Shape } from "./shape.ts";

type Declaration =
  | { kind: "interface"; bases: string[]; fields: Record<string, Field> }
  | { kind: "alias"; shape: Shape };

/** Returns the shape of the interface `name` in `source`, with what it extends and refers to put in place. */
export function parseInterfaceShape(source: string, name: string): Shape {
  const parser = new Parser(source);
  return parser.resolve(name);
}

class Parser {
  readonly #tokens: string[];
  #at = 0;
  /** Start of each declaration's body, and its shape once it was needed. */
  readonly #starts = new Map<string, number>();
  readonly #known = new Map<string, Declaration>();

  constructor(source: string) {
    const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");
    this.#tokens = code.match(/"[^"]*"|[A-Za-z_$][\w$]*|\S/g) ?? [];
    this.#tokens.forEach((token, at) => {
      if (token === "export") this.#starts.set(this.#tokens[at + 2] ?? "", at + 1);
    });
  }

  resolve(name: string): Shape {
    const declaration = this.#known.get(name) ?? this.#parseDeclaration(name);
    this.#known.set(name, declaration);
    if (declaration.kind === "alias") return declaration.shape;
    const inherited = declaration.bases.map((base) => {
      const shape = this.resolve(base);
      if (shape.kind !== "object") throw new Error(`${name} extends ${base}, which is not an interface`);
      return shape.fields;
    });
    return { kind: "object", fields: Object.assign({}, ...inherited, declaration.fields) };
  }

  #parseDeclaration(name: string): Declaration {
    const start = this.#starts.get(name);
    if (start === undefined) throw new Error(`no exported type ${name}`);
    const back = this.#at;
    this.#at = start;
    const keyword = this.#takeToken();
    this.#expect(name);
    const declaration = keyword === "interface" ? this.#parseInterface() : this.#parseAlias(name);
    this.#at = back;
    return declaration;
  }

  #parseAlias(name: string): Declaration {
    this.#expect("=");
    // The aliases with a meaning that their text does not show.
    const isTime = name === "MicroTime" || name === "WholeTime";
    return { kind: "alias", shape: isTime ? { kind: "time" } : this.#parseType() };
  }

  #parseInterface(): Declaration {
    const bases: string[] = [];
    if (this.#skip("extends"))
      do bases.push(this.#takeToken());
      while (this.#skip(","));
    return { kind: "interface", bases, fields: this.#parseMembers() };
  }

  #parseMembers(): Record<string, Field> {
    this.#expect("{");
    const fields: Record<string, Field> = {};
    while (!this.#skip("}")) {
      const name = this.#takeToken();
      if (!/^[A-Za-z]\w*$/.test(name)) throw new Error(`a member that begins with ${name} is not understood`);
      const optional = this.#skip("?");
      this.#expect(":");
      fields[name] = { optional, shape: this.#parseType() };
      if (this.#peek() !== "}") this.#expect(";");
    }
    return fields;
  }

  #parseType(): Shape {
    this.#skip("|");
    const literals: string[] = [];
    while (this.#peek()?.startsWith('"')) {
      literals.push(this.#takeToken().slice(1, -1));
      if (!this.#skip("|")) return { kind: "enum", values: literals };
    }
    if (literals.length > 0) throw new Error(`a union of literals and ${this.#peek()} is not understood`);
    let shape = this.#parseSingle();
    while (this.#skip("[")) {
      this.#expect("]");
      shape = { kind: "list", items: shape };
    }
    if (this.#peek() === "|") throw new Error("a union of other things than literals is not understood");
    return shape;
  }

  #parseSingle(): Shape {
    if (this.#peek() === "{") return { kind: "object", fields: this.#parseMembers() };
    const name = this.#takeToken();
    if (name === "string" || name === "boolean") return { kind: name };
    // Every number of a report is a whole one.
    if (name === "number") return { kind: "integer" };
    return this.resolve(name);
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #takeToken(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error("the source ends too early");
    return token;
  }

  #skip(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: string): void {
    const found = this.#takeToken();
    if (found !== token) throw new Error(`expected ${token}, found ${found}`);
  }
}
