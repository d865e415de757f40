// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The journal as an SQLite file of one process.
// Invariant: with `synchronous=OFF` a batch has reached the kernel when `write` returns: it survives the death of the
// process, not of the machine. Nothing is read from a file that the machine's death broke.

import { renameSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { getErrorMessage } from "../lib/error-message.ts";
import {
  type Batch,
  type Journal,
  JournalError,
  type OpenJournal,
  type Recovered,
  type ViolationPage,
} from "./journal.ts";
import { readTotals, ViolationReader } from "./journal-rows-in.ts";
import { BatchWriter } from "./journal-rows-out.ts";
import { isOfAccount } from "./writer-id.ts";

export interface SqliteOptions {
  /** The file; its directory must exist. Two more files appear next to it. */
  path: string;
  /** Bound of the file; the write-ahead log next to it can take some megabytes more. */
  maxBytes: number;
  /** UID of the operator's ServiceAccount, for createWriterId; a journal of another account is put aside. */
  account?: string | undefined;
}

const VERSION = 2;
const PAGE_BYTES = 4096;
/** Endings of SQLite's files. */
const FILES = ["", "-wal", "-shm"];

/** Each row ends in the checksum of its values; evidence has its own checksum, because it is written less often. */
const SCHEMA = `
CREATE TABLE life (one INTEGER PRIMARY KEY CHECK (one = 1), writer_id TEXT NOT NULL, read_until_ms REAL NOT NULL,
  reserved_seq INTEGER NOT NULL, is_complete INTEGER NOT NULL, layers INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE report (id INTEGER PRIMARY KEY, namespace TEXT, policy TEXT NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE layer (report INTEGER, seq INTEGER, totals TEXT NOT NULL, policy TEXT NOT NULL, sum INTEGER NOT NULL,
  PRIMARY KEY (report, seq)) WITHOUT ROWID;
CREATE TABLE violation (report INTEGER, seq INTEGER, key TEXT, occurrences INTEGER NOT NULL, first_us INTEGER NOT NULL,
  last_us INTEGER NOT NULL, rule TEXT NOT NULL, sum INTEGER NOT NULL, evidence TEXT, evidence_sum INTEGER,
  PRIMARY KEY (report, seq, key)) WITHOUT ROWID;
CREATE TABLE pod (report INTEGER, seq INTEGER, violation TEXT, key TEXT, name TEXT NOT NULL, node TEXT NOT NULL,
  occurrences INTEGER NOT NULL, last_us INTEGER NOT NULL, sum INTEGER NOT NULL,
  PRIMARY KEY (report, seq, violation, key)) WITHOUT ROWID;
PRAGMA user_version = ${VERSION};
`;

/**
 * Returns a function that opens the journal in a file. A file that is broken, or holds counts of another cluster, is put
 * aside, as `….broken`.
 */
export function createSqliteJournal(options: SqliteOptions): OpenJournal {
  return () => {
    try {
      return new SqliteJournal(options, undefined);
    } catch (error) {
      if (!isBroken(error)) throw toJournalError(error, options.path);
      return reopen(options, getErrorMessage(error));
    }
  };
}

function reopen(options: SqliteOptions, why: string): Journal {
  const { path } = options;
  try {
    renameSync(path, `${path}.broken`);
    for (const part of FILES) rmSync(path + part, { force: true });
    return new SqliteJournal(options, `${path} cannot be continued (${why}) and was put aside as ${path}.broken`);
  } catch (error) {
    throw toJournalError(error, path);
  }
}

class SqliteJournal implements Journal {
  readonly recovered: Recovered | undefined;
  readonly lost: string | undefined;
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #inode: number;
  readonly #writer: BatchWriter;
  readonly #violations: ViolationReader;

  constructor({ path, maxBytes, account }: SqliteOptions, lost: string | undefined) {
    this.#path = path;
    const isOld = this.bytes > 0;
    this.#db = new DatabaseSync(path, { timeout: 0 });
    try {
      prepare(this.#db, maxBytes, path);
      const recovered = readTotals(this.#db);
      if (recovered === "damaged") throw new BrokenFile("its first row is damaged");
      const isForeign = recovered !== undefined && !isOfAccount(recovered.writerId, account);
      if (isForeign && mayHoldCounts(recovered)) throw new BrokenFile("its writer had another ServiceAccount");
      this.recovered = isForeign ? undefined : recovered;
      // SQLite ignores a log with a damaged beginning, and the first rows may be nowhere else.
      this.lost = recovered === undefined && isOld ? `${path} has lost its rows` : lost;
      this.#writer = new BatchWriter(this.#db);
      this.#violations = new ViolationReader(this.#db);
      this.#inode = statSync(path).ino;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get bytes(): number {
    const size = (suffix: string) => statSync(this.#path + suffix, { throwIfNoEntry: false })?.size ?? 0;
    return size("") + size("-wal");
  }

  begin(life: Pick<Recovered, "writerId" | "readUntilMs" | "reservedSeq">): void {
    this.#guard(() => {
      this.#runTransaction(() => {
        this.#db.exec("DELETE FROM report; DELETE FROM layer; DELETE FROM violation; DELETE FROM pod");
        this.#writer.begin(life);
      });
      this.#writer.forget();
    });
  }

  reserve(seq: number): void {
    this.#guard(() => this.#runTransaction(() => this.#writer.reserve(seq)));
  }

  write(batch: Batch): void {
    this.#guard(() => {
      // A deleted file can still be written, and no later process can find it.
      if (statSync(this.#path, { throwIfNoEntry: false })?.ino !== this.#inode) {
        throw new JournalError("gone", `${this.#path} is gone, or is another file now`);
      }
      try {
        this.#runTransaction(() => this.#writer.write(batch));
      } catch (error) {
        this.#writer.forget();
        throw error;
      }
    });
  }

  readViolations(report: string, seq: number, after: string): ViolationPage {
    const id = this.#writer.findId(report);
    if (id === undefined) return { violations: [], last: undefined, damagedRows: 0 };
    return this.#guard(() => this.#violations.readPage(id, seq, after));
  }

  close(): void {
    try {
      this.#db.close();
    } catch (error) {
      // Closing fails where the volume is gone.
      if (!(error instanceof Error)) throw error;
    }
  }

  discard(): void {
    this.close();
    try {
      for (const part of FILES) rmSync(this.#path + part, { force: true });
    } catch (error) {
      // The next process to open it finds out.
      if (!(error instanceof Error)) throw error;
    }
  }

  #runTransaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // Some errors have ended the transaction already.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw toJournalError(error, this.#path);
    }
  }
}

function mayHoldCounts({ isComplete, isDamaged, reports }: Recovered): boolean {
  return !isComplete || isDamaged || reports.length > 0;
}

function prepare(db: DatabaseSync, maxBytes: number, path: string): void {
  // One process, so no shared memory; a second process gets an error.
  db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
  const version = readNumber(db, "PRAGMA user_version");
  if (version > VERSION) {
    const message = `${path} was written by a newer version of this program (format ${version}): delete it or update`;
    throw new JournalError("newer", message);
  }
  if (version !== 0 && version < VERSION) throw new BrokenFile(`format ${version} is no longer supported`);
  db.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / PAGE_BYTES)}; PRAGMA journal_size_limit = ${2 ** 22}`);
  const check = db.prepare("PRAGMA quick_check(1)").get();
  const found = String(Object.values(check ?? {})[0]);
  if (found !== "ok") throw new BrokenFile(found);
  // A file that has its tables is read without a write, for a volume that is full.
  if (version === 0) db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
}

function readNumber(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get() ?? {})[0]);
}

class BrokenFile extends Error {}

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
const SQLITE = { ERROR: 1, BUSY: 5, LOCKED: 6, CORRUPT: 11, FULL: 13, NOTADB: 26 } as const;

function getErrorCode(error: unknown): number {
  const code = (error as { errcode?: unknown }).errcode;
  // The low byte is the primary code.
  return typeof code === "number" ? code & 0xff : -1;
}

function isBroken(error: unknown): boolean {
  const code = getErrorCode(error);
  return (
    error instanceof BrokenFile ||
    error instanceof SyntaxError ||
    // A statement does not fit the tables: their definition is damaged.
    code === SQLITE.ERROR ||
    code === SQLITE.CORRUPT ||
    code === SQLITE.NOTADB
  );
}

function toJournalError(error: unknown, path: string): JournalError {
  if (error instanceof JournalError) return error;
  const why = getErrorMessage(error);
  switch (getErrorCode(error)) {
    case SQLITE.FULL:
      return new JournalError("full", `no room for ${path}: make the volume or journal.maxBytes larger`, {
        cause: error,
      });
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return new JournalError("locked", `${path} is in use by another process`, { cause: error });
    default:
      return new JournalError("failed", `${path}: ${why}`, { cause: error });
  }
}
