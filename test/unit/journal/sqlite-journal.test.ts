// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The journal on a real volume, and on volumes that are gone, full, read-only, broken or of another process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reportKey } from "../../../src/ingest/violation/violation.ts";
import { type Journal, JournalError } from "../../../src/journal/journal.ts";
import { createSqliteJournal } from "../../../src/journal/sqlite-journal.ts";
import { createWriterId } from "../../../src/journal/writer-id.ts";
import { createFolder } from "../../support/folder.ts";
import { type FoundJournal, readAll } from "../../support/journal-rows.ts";
import { begin, createBatch, createChange, createLayerRow, createViolationRow, reopen } from "./rows.ts";

let dir: string;
let path: string;
const opened: Journal[] = [];

beforeEach(() => {
  dir = createFolder();
  path = join(dir, "journal.db");
});
afterEach(() => {
  for (const journal of opened.splice(0)) journal.close();
});

function open(maxBytes = 2 ** 24): Journal {
  const journal = createSqliteJournal({ path, maxBytes })();
  opened.push(journal);
  return journal;
}

const openJournal = (): Journal => begin(open());

const reopenJournal = (journal: Journal): FoundJournal | undefined => reopen(journal, open);

function catchFault(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof JournalError) return `${error.fault}: ${error.message.replaceAll(dir, "DIR")}`;
    throw error;
  }
  return "none";
}

describe("what a journal took", () => {
  it("is nothing in a new one", () => {
    expect(open().recovered).toBeUndefined();
  });

  it("is there after a restart, to the last bit", () => {
    const journal = openJournal();
    const first = createLayerRow(
      4,
      createViolationRow("/usr/bin/apt"),
      createViolationRow("/usr/bin/dpkg", { evidence: undefined, pods: [] }),
    );
    const second = createLayerRow(5, createViolationRow("/usr/bin/apt"));
    const host = createChange([createLayerRow(1, createViolationRow("/etc/shadow"))], {
      namespace: undefined,
      policyName: "h",
    });
    journal.write(createBatch([createChange([first, second]), host]));
    expect(reopenJournal(journal)).toEqual({
      writerId: "w",
      readUntilMs: 1000,
      reservedSeq: 9,
      isComplete: false,
      damagedRows: 0,
      isDamaged: false,
      reports: [
        { namespace: "shop", policyName: "p", layers: [first, second], isDamaged: false },
        {
          namespace: undefined,
          policyName: "h",
          layers: [createLayerRow(1, createViolationRow("/etc/shadow"))],
          isDamaged: false,
        },
      ],
    });
  });

  it("is opened without a look at its violations", () => {
    const journal = openJournal();
    journal.write(createBatch([createChange([createLayerRow(4, createViolationRow("/a"), createViolationRow("/b"))])]));
    journal.close();
    const iterated = vi.spyOn(StatementSync.prototype, "iterate");
    const again = open();
    const read = (iterated.mock.contexts as StatementSync[]).map(({ sourceSQL }) => sourceSQL);
    iterated.mockRestore();
    expect(again.recovered?.reports[0]?.layers).toMatchObject([{ seq: 4, totals: { occurrences: 6 } }]);
    expect(new Set(read)).toEqual(new Set(["SELECT * FROM life", "SELECT * FROM report", "SELECT * FROM layer"]));
  });

  it("is read in pages of 64 violations", () => {
    const journal = openJournal();
    const rows = Array.from({ length: 150 }, (_, i) => createViolationRow(`/f${i}`));
    const others = createChange([createLayerRow(4, createViolationRow("/other"))], { policyName: "q" });
    journal.write(createBatch([createChange([createLayerRow(4, ...rows), createLayerRow(5, ...rows)]), others]));
    const pages = [journal.readViolations(reportKey("shop", "p"), 4, "")];
    for (let last = pages[0]?.last; last !== undefined; last = pages.at(-1)?.last) {
      pages.push(journal.readViolations(reportKey("shop", "p"), 4, last));
    }
    expect(pages.map(({ violations }) => violations.length)).toEqual([64, 64, 22]);
    const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1);
    expect(pages.flatMap(({ violations }) => violations)).toEqual(rows.toSorted(byKey));
  });

  it("holds the newest row of each violation and pod", () => {
    const journal = openJournal();
    journal.write(createBatch([createChange([createLayerRow(4, createViolationRow("/a"))])]));
    const pod = { key: "web-2", name: "web-2", node: "node-2", occurrences: 1, lastUs: 8 };
    const later = createViolationRow("/a", { occurrences: 4, pods: [pod] });
    journal.write(createBatch([createChange([createLayerRow(4, later)])]));
    const found = reopenJournal(journal)?.reports[0]?.layers;
    expect(found).toEqual([createLayerRow(4, { ...later, pods: [...createViolationRow("/a").pods, pod] })]);
  });

  it("keeps earlier evidence where a row has none", () => {
    const journal = openJournal();
    journal.write(createBatch([createChange([createLayerRow(4, createViolationRow("/a"))])]));
    const later = createViolationRow("/a", { occurrences: 4, lastUs: 9, evidence: undefined });
    journal.write(createBatch([createChange([createLayerRow(4, later)])]));
    const { evidence } = createViolationRow("/a");
    expect(reopenJournal(journal)?.reports[0]?.layers[0]?.violations).toEqual([{ ...later, evidence }]);
  });

  it("is deleted up to the persisted set, for a report that is written again, and for a removed one", () => {
    const journal = openJournal();
    const layers = [createLayerRow(4, createViolationRow("/a")), createLayerRow(5, createViolationRow("/b"))];
    const names = ["p", "q", "r"];
    journal.write(createBatch(names.map((policyName) => createChange(layers, { policyName }))));
    journal.write(
      createBatch(
        [
          createChange([], { policyName: "p", persistedSeq: 4 }),
          createChange([createLayerRow(6, createViolationRow("/c"))], { policyName: "q", removesRows: true }),
        ],
        { removed: [reportKey("shop", "r"), reportKey("shop", "never seen")] },
      ),
    );
    expect(
      reopenJournal(journal)?.reports.map(({ policyName, layers: left }) => [policyName, left.map(({ seq }) => seq)]),
    ).toEqual([
      ["p", [5]],
      ["q", [6]],
    ]);
  });

  it("is deleted when it begins again", () => {
    const journal = openJournal();
    journal.write(createBatch([createChange([createLayerRow(4, createViolationRow("/a"))])]));
    journal.begin({ writerId: "other", readUntilMs: 5, reservedSeq: 7 });
    expect(reopenJournal(journal)).toEqual({
      writerId: "other",
      readUntilMs: 5,
      reservedSeq: 7,
      isComplete: false,
      damagedRows: 0,
      isDamaged: false,
      reports: [],
    });
  });

  it("survives a killed process, up to the last complete batch", async () => {
    const script = `
      const { createSqliteJournal } = await import(${JSON.stringify(join(import.meta.dirname, "../../../src/journal/sqlite-journal.ts"))});
      const rows = await import(${JSON.stringify(join(import.meta.dirname, "rows.ts"))});
      const journal = createSqliteJournal({ path: ${JSON.stringify(path)}, maxBytes: 2 ** 26 })();
      journal.begin({ writerId: "w", readUntilMs: 0, reservedSeq: 0 });
      for (let n = 1; ; n++) {
        const violations = Array.from({ length: 50 }, (_, i) =>
          rows.createViolationRow("/" + i, { occurrences: n }));
        const changes = [rows.createChange([rows.createLayerRow(1, ...violations)])];
        journal.write(rows.createBatch(changes, { readUntilMs: n }));
        process.stdout.write(n + "\\n");
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    child.stdout.on("data", (text: Buffer) => {
      out += text.toString();
      if (out.split("\n").length > 30) child.kill("SIGKILL");
    });
    await once(child, "close");
    const writtenMs = Number(out.trimEnd().split("\n").at(-1));
    const recovered = readAll(open());
    // One more may have been taken than it could report.
    expect([writtenMs, writtenMs + 1]).toContain(recovered?.readUntilMs);
    const violations = recovered?.reports[0]?.layers[0]?.violations ?? [];
    expect(new Set(violations.map(({ occurrences }) => occurrences))).toEqual(new Set([recovered?.readUntilMs]));
    expect(violations).toHaveLength(50);
  });
});

describe("a journal that can't be used", () => {
  const row = (n: number) => createViolationRow(`/${n}`, { evidence: { time: "t", data: "d".repeat(3000) } });
  const large = (count: number) =>
    createBatch([createChange([createLayerRow(1, ...Array.from({ length: count }, (_, n) => row(n)))])]);

  it("has no directory", () => {
    path = join(dir, "none", "journal.db");
    expect(catchFault(open)).toBe("failed: DIR/none/journal.db: unable to open database file");
  });

  it("is kept by another process", () => {
    const journal = openJournal();
    expect(catchFault(open)).toBe("locked: DIR/journal.db is in use by another process");
    journal.close();
    expect(open().recovered?.writerId).toBe("w");
  });

  it("is full at its bound: the batch is not taken, what is in it stays, and there is room again once sets landed", () => {
    const journal = open(2 ** 20);
    journal.begin({ writerId: "w", readUntilMs: 0, reservedSeq: 0 });
    journal.write(large(200));
    expect(catchFault(() => journal.write(large(400)))).toBe(
      "full: no room for DIR/journal.db: make the volume or journal.maxBytes larger",
    );
    expect(journal.bytes).toBeLessThan(6 * 2 ** 20);
    journal.write(createBatch([createChange([], { persistedSeq: 1 })]));
    journal.write(createBatch([createChange([createLayerRow(2, row(1))])]));
    expect(reopenJournal(journal)?.reports[0]?.layers).toEqual([createLayerRow(2, row(1))]);
  });

  it("is gone, or another file, though it could still be written", () => {
    const journal = openJournal();
    rmSync(path);
    expect(catchFault(() => journal.write(createBatch([])))).toBe(
      "gone: DIR/journal.db is gone, or is another file now",
    );
    writeFileSync(path, "");
    expect(catchFault(() => journal.write(createBatch([])))).toContain("gone:");
  });

  it("was written by a newer version, and is left as it is", () => {
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE future (x); PRAGMA user_version = 3");
    db.close();
    const before = readFileSync(path);
    expect(catchFault(open)).toBe(
      "newer: DIR/journal.db was written by a newer version of this program (format 3): delete it or update",
    );
    expect(readFileSync(path).subarray(100).equals(before.subarray(100))).toBe(true);
  });

  it.skipIf(process.getuid?.() === 0)("is on a volume that can only be read", () => {
    openJournal().close();
    chmodSync(path, 0o400);
    chmodSync(dir, 0o500);
    expect(catchFault(open)).toContain("failed:");
    chmodSync(dir, 0o700);
  });
});

describe("a journal of another account", () => {
  const openAs = (account: string) => {
    const journal = createSqliteJournal({ path, maxBytes: 2 ** 24, account })();
    opened.push(journal);
    return journal;
  };

  function writeAs(
    account: string,
    isLast: boolean,
    changes = [createChange([createLayerRow(4, createViolationRow("/a"))])],
  ) {
    const journal = openAs(account);
    journal.begin({ writerId: createWriterId("w", account), readUntilMs: 0, reservedSeq: 0 });
    journal.write(createBatch(changes, { isLast }));
    journal.close();
  }

  it.each([
    ["with counts", true, undefined],
    ["of a killed process", false, []],
  ])("%s is put aside, and a new one begins", (_name, isLast, changes) => {
    writeAs("one", isLast, changes);
    const journal = openAs("two");
    expect(journal.recovered).toBeUndefined();
    expect(journal.lost).toContain("its writer had another ServiceAccount");
    expect(existsSync(`${path}.broken`)).toBe(true);
  });

  it("that ended in order without counts is begun again", () => {
    writeAs("one", true, []);
    const journal = openAs("two");
    expect([journal.recovered, journal.lost]).toEqual([undefined, undefined]);
  });

  it("is continued by the same account", () => {
    writeAs("one", true);
    expect(openAs("one").recovered?.reports).toHaveLength(1);
  });
});

describe("a broken file", () => {
  it.each<[string, () => void]>([
    ["of another kind", () => writeFileSync(path, "no database, but long enough to be looked at as one".repeat(20))],
    ["with a page that was overwritten", () => overwritePages()],
    [
      "with a damaged first row",
      () => {
        const journal = openJournal();
        journal.write(createBatch([createChange([createLayerRow(4, createViolationRow("/a"))])]));
        journal.close();
        const db = new DatabaseSync(path);
        db.exec("UPDATE life SET writer_id = 'x'");
        db.close();
      },
    ],
  ])("%s is put aside, and a new one begins", (_name, breakIt) => {
    breakIt();
    const journal = open();
    expect(journal.recovered).toBeUndefined();
    expect(journal.lost).toContain("put aside");
    expect(existsSync(`${path}.broken`)).toBe(true);
    journal.begin({ writerId: "w", readUntilMs: 0, reservedSeq: 0 });
    journal.write(createBatch([createChange([createLayerRow(4, createViolationRow("/a"))])]));
    expect(reopenJournal(journal)?.reports).toHaveLength(1);
  });

  function overwritePages(): void {
    const journal = openJournal();
    const rows = Array.from({ length: 500 }, (_, n) => createViolationRow(`/${n}`));
    journal.write(createBatch([createChange([createLayerRow(4, ...rows)])]));
    journal.close();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 4096, bytes.length);
    writeFileSync(path, bytes);
  }
});
