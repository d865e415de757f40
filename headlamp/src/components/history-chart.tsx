// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Occurrences over time as bars. The title says in words what the bars show.

import { useTheme } from "@mui/material";
import { formatMs } from "../../../plugin/src/reports/when.ts";
import { formatCount, formatNumber } from "../../../plugin/src/reports/words.ts";
import type { Outcome } from "../../../src/api/v1alpha1.ts";
import { type HistoryBars, sumBar } from "../model/history-bars.ts";

const WIDTH = 960;
const HEIGHT = 160;
const AXIS = 20;
/** From the bottom of a bar to its top. */
const STACK: readonly Outcome[] = ["Allowed", "Unknown", "Prevented"];

export function HistoryChart({ history }: { history: HistoryBars }) {
  const { palette } = useTheme();
  const { bars, isByHour } = history;
  const colors = { Allowed: palette.error.main, Unknown: palette.warning.main, Prevented: palette.success.main };
  const most = Math.max(1, ...bars.map(sumBar));
  const step = WIDTH / Math.max(1, bars.length);
  const unit = isByHour ? "hour" : "day";
  const first = bars[0]?.startMs ?? 0;
  const last = bars.at(-1)?.startMs ?? 0;
  const title = `Occurrences by ${unit} from ${formatMs(first)} to ${formatMs(last)}, at most ${formatNumber(most)} in one.`;
  return (
    <figure style={{ margin: 0 }}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT + AXIS}`} width="100%" role="img" aria-label={title}>
        <title>{title}</title>
        <line x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} stroke={palette.divider} />
        {bars.flatMap((bar, i) => {
          let top = HEIGHT;
          return STACK.filter((outcome) => bar.counts[outcome] > 0).map((outcome) => {
            const height = Math.max(2, (bar.counts[outcome] / most) * (HEIGHT - 4));
            top -= height;
            const text = `${formatMs(bar.startMs)}: ${formatNumber(bar.counts[outcome])} ${outcome.toLowerCase()}`;
            return (
              <rect
                key={`${bar.startMs} ${outcome}`}
                x={i * step + 1}
                y={top}
                width={Math.max(1, Math.min(step - 2, 40))}
                height={height}
                fill={colors[outcome]}
              >
                <title>{text}</title>
              </rect>
            );
          });
        })}
        <text x={0} y={HEIGHT + 15} fontSize={12} fill={palette.text.secondary}>
          {formatMs(first)}
        </text>
        {bars.length > 1 && (
          <text x={WIDTH} y={HEIGHT + 15} fontSize={12} textAnchor="end" fill={palette.text.secondary}>
            {formatMs(last)}
          </text>
        )}
      </svg>
      <figcaption>
        {STACK.map((outcome) => (
          <span key={outcome} style={{ marginRight: 16 }}>
            <span aria-hidden style={{ color: colors[outcome] }}>
              ■
            </span>{" "}
            {outcome}
          </span>
        ))}
        {`By ${unit}, at most ${formatNumber(most)} in one; accepted violations included. `}
        {history.isAtLeast && "The numbers are lower bounds. "}
        {history.earlier > 0 && `${formatCount(history.earlier, "occurrence")} before the first bar.`}
      </figcaption>
    </figure>
  );
}
