// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time as this program counts it: whole microseconds since the Unix epoch, which a double holds exactly until 2255.
// Invariant: no clock here; text in, numbers out, and back.

/** Microseconds since the Unix epoch. */
export type EpochUs = number;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

/** 2255-06-05: the last instant that a double counts exactly in microseconds. */
const MAX_US = Number.MAX_SAFE_INTEGER;
export const HOUR_US = 3_600_000_000;

const PATTERN = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))?$/;
/** The form that formatMicroTime writes. */
const USUAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
/** "2026-11-23T" */
const DAY_LENGTH = 11;

export function toEpochUs(ms: number): EpochUs {
  return Math.round(ms * 1000);
}

/** True for two times of one hour of UTC. */
export function isSameHour(aUs: EpochUs, bUs: EpochUs): boolean {
  return Math.floor(aUs / HOUR_US) === Math.floor(bUs / HOUR_US);
}

/**
 * Reads an RFC 3339 time to the microsecond; a finer fraction is cut, a missing zone is UTC (some of KubeArmor's
 * consumers print none, and a node's clock is UTC in KubeArmor). Returns undefined for anything else, and for
 * times at or before the epoch, which in an alert mean "not set".
 */
export function parseMicroTime(text: string): EpochUs | undefined {
  return parseOfSameDay(text) ?? parseAnyTime(text);
}

/** The day of the last time in the usual form, up to the letter before the hour, and its beginning. */
let lastDay = { text: "", ms: 0 };

function parseOfSameDay(text: string): EpochUs | undefined {
  if (lastDay.text === "" || !text.startsWith(lastDay.text) || !USUAL.test(text)) return undefined;
  const [hour, minute, second] = [readTwo(text, 11), readTwo(text, 14), readTwo(text, 17)];
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const ms = lastDay.ms + ((hour * 60 + minute) * 60 + second) * 1000;
  return checkRange(ms * 1000 + Number(text.slice(20, 26)));
}

function readTwo(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO;
}

function parseAnyTime(text: string): EpochUs | undefined {
  const m = PATTERN.exec(text);
  if (!m) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", sign, zoneHour = "0", zoneMinute = "0"] = m;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  if (Number(zoneHour) > 23 || Number(zoneMinute) > 59) return undefined;
  const midnight = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  // A day that the month does not have rolls over into the next one, and a year below 100 into the last century.
  if (midnight.getUTCDate() !== Number(day) || midnight.getUTCMonth() + 1 !== Number(month)) return undefined;
  if (midnight.getUTCFullYear() !== Number(year)) return undefined;
  if (USUAL.test(text)) lastDay = { text: text.slice(0, DAY_LENGTH), ms: midnight.getTime() };
  const ms = midnight.getTime() + ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000;
  const zoneUs = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60_000_000 * (sign === "-" ? -1 : 1);
  return checkRange(ms * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6)) - zoneUs);
}

/** Returns true for a time that parseMicroTime reads and that has at least six fraction digits. */
export function hasMicroseconds(text: string): boolean {
  return (PATTERN.exec(text)?.[7]?.length ?? 0) >= 6 && parseMicroTime(text) !== undefined;
}

/** Whole Unix seconds as microseconds; undefined when not set or out of range. */
export function secondsToUs(seconds: number): EpochUs | undefined {
  return checkRange(seconds * 1_000_000);
}

/** Writes RFC 3339 with exactly six fraction digits and a literal Z. */
export function formatMicroTime(us: EpochUs): string {
  const second = Math.floor(us / 1_000_000);
  const day = Math.floor(second / DAY_SECONDS);
  if (day !== writtenDay.day) {
    writtenDay = { day, text: new Date(day * DAY_SECONDS * 1000).toISOString().slice(0, DAY_LENGTH) };
  }
  const ofDay = second - day * DAY_SECONDS;
  const hour = TWO_DIGITS[Math.floor(ofDay / 3600)];
  const minute = TWO_DIGITS[Math.floor(ofDay / 60) % 60];
  const micros = String(us - second * 1_000_000).padStart(6, "0");
  return `${writtenDay.text}${hour}:${minute}:${TWO_DIGITS[ofDay % 60]}.${micros}Z`;
}

/** Writes milliseconds, which may have a fraction, with the given microseconds; "" for undefined. */
export function formatEpochMs(ms: number | undefined, us = 0): string {
  return ms === undefined ? "" : formatMicroTime(Math.floor(ms) * 1000 + us);
}

/** Milliseconds since the epoch; undefined for a text that is not a time. */
export function parseEpochMs(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

const DAY_SECONDS = 86_400;
const TWO_DIGITS = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, "0"));
/** The day written last, up to the letter before the hour. */
let writtenDay = { day: Number.NaN, text: "" };

function checkRange(us: number): EpochUs | undefined {
  return us >= 1 && us <= MAX_US ? Math.floor(us) : undefined;
}

/** "2026-11-23T10:00:" */
const MINUTE_LENGTH = 17;
/** "2026-11-23T10:00:00.000000Z" */
const USUAL_LENGTH = 27;
/** No time that PATTERN takes is longer. */
const MAX_LENGTH = 40;
const ZERO = 0x30;
const POINT = 0x2e;
const LETTER_Z = 0x5a;

/** Reads times as parseMicroTime does, out of bytes: quickly where one is within the same minute as the one before. */
export class TimeReader {
  readonly #minute = new Uint8Array(MINUTE_LENGTH);
  #minuteUs: EpochUs | undefined;
  /** Result of hasMicroseconds for the time read last. */
  hasMicroseconds = false;

  read(bytes: Uint8Array, start: number, end: number): EpochUs | undefined {
    const isUsual = end - start === USUAL_LENGTH && bytes[end - 1] === LETTER_Z && bytes[end - 8] === POINT;
    if (isUsual && this.#minuteUs !== undefined && this.#isSameMinute(bytes, start)) {
      const seconds = parseDigits(bytes, start + MINUTE_LENGTH, start + MINUTE_LENGTH + 2);
      const micros = parseDigits(bytes, end - 7, end - 1);
      if (seconds >= 0 && seconds <= 60 && micros >= 0) {
        const us = checkRange(this.#minuteUs + seconds * 1_000_000 + micros);
        this.hasMicroseconds = us !== undefined;
        return us;
      }
    }
    this.hasMicroseconds = false;
    if (end - start > MAX_LENGTH) return undefined;
    const text = String.fromCharCode(...bytes.subarray(start, end));
    if (isUsual) {
      this.#minute.set(bytes.subarray(start, start + MINUTE_LENGTH));
      this.#minuteUs = parseMicroTime(`${text.slice(0, MINUTE_LENGTH)}00Z`);
    }
    this.hasMicroseconds = hasMicroseconds(text);
    return parseMicroTime(text);
  }

  #isSameMinute(bytes: Uint8Array, start: number): boolean {
    for (let i = 0; i < MINUTE_LENGTH; i++) if (bytes[start + i] !== this.#minute[i]) return false;
    return true;
  }
}

/** The number that these digits spell; negative when one of them is not a digit. */
function parseDigits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** A duration as kubectl writes one: `37s`, `5m`, `3h`, `12d`, `2y`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)}h`;
  const days = Math.floor(seconds / 86_400);
  return days < 2 * 365 ? `${days}d` : `${Math.floor(days / 365)}y`;
}
