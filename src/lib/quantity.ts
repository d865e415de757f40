// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Durations and sizes as people write them: `30d`, `1h30m`, `256Mi`. docs/configuration.md describes both forms.

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** Regular expressions of the two forms, for schemas. */
export const DURATION_PATTERN = "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$";
export const SIZE_PATTERN = "^[0-9]+(\\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)$";

const DURATION = new RegExp(DURATION_PATTERN);
const SIZE = new RegExp(SIZE_PATTERN);

/** Reads a duration, largest unit first and each unit once, as milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let ms = 0;
  let lastUnitMs = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(/([0-9.]+)([a-z]+)/g)) {
    const unitMs = DURATION_UNITS[unit ?? ""] ?? Number.NaN;
    if (!(unitMs < lastUnitMs)) return undefined;
    lastUnitMs = unitMs;
    ms += Number(count) * unitMs;
  }
  return toWhole(ms);
}

/** Reads a size in Kubernetes' units as bytes; undefined for anything else, a number without a unit included. */
export function parseSize(text: string): number | undefined {
  if (!SIZE.test(text)) return undefined;
  const [, count, unit = ""] = /^([0-9.]+)([A-Za-z]*)$/.exec(text) ?? [];
  return toWhole(Number(count) * (SIZE_UNITS[unit] ?? Number.NaN));
}

/** Writes milliseconds with the largest unit that divides them: 90,000 is `90s`. */
export function formatDuration(ms: number): string {
  return format(ms, DURATION_UNITS, ["d", "h", "m", "s"], "ms");
}

/** Writes bytes with the largest binary unit that divides them: 2,048 is `2Ki`, 1,500 is `1500`. */
export function formatSize(bytes: number): string {
  return format(bytes, SIZE_UNITS, ["Ti", "Gi", "Mi", "Ki"], "");
}

function format(
  value: number,
  units: Readonly<Record<string, number>>,
  largestFirst: readonly string[],
  smallest: string,
): string {
  const unit = largestFirst.find((each) => value !== 0 && value % units[each]! === 0);
  return unit === undefined ? `${value}${smallest}` : `${value / units[unit]!}${unit}`;
}

/** A fraction of a millisecond or of a byte is a mistake; what floating point adds to `1.1s` is not. */
function toWhole(value: number): number | undefined {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) && Math.abs(value - rounded) < 1e-6 ? rounded : undefined;
}
