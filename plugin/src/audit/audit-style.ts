// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The style sheet of the audit page: light and dark as the reader's system says, and black on white on paper.
// Every pair of colors that carries text has a contrast of 4.5 or more in both.

export const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --soft: #f4f5f7; --text: #1a1d21; --faint: #555c66; --line: #d5d9df;
  --allowed: #b3261e; --unknown: #8a5a00; --prevented: #2e6f9e; --link: #0b57d0; --alarm: #b3261e; --on-alarm: #fff; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --soft: #1e2226; --text: #e7e9ec; --faint: #a6adb7;
  --line: #3a4048; --allowed: #ff8a80; --unknown: #f0b95a; --prevented: #7cb9e8; --link: #8ab4f8; --alarm: #ff8a80; --on-alarm: #14171a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 24px 20px 60px; overflow-wrap: anywhere; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 36px 0 10px; padding-bottom: 4px; border-bottom: 1px solid var(--line); }
h3 { font-size: 15px; margin: 0 0 4px; overflow-wrap: anywhere; }
p { margin: 6px 0; } .faint { color: var(--faint); }
a { color: var(--link); }
code, dd { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 13px; }
code { overflow-wrap: anywhere; }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin: 16px 0; padding: 0;
  list-style: none; }
.totals li { background: var(--soft); border-radius: 8px; padding: 10px 12px; }
.totals strong { display: block; font-size: 24px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.banner { background: var(--soft); border-left: 4px solid var(--unknown); border-radius: 4px; padding: 10px 12px; margin: 12px 0; }
.banner.bad { background: var(--alarm); border-color: var(--alarm); color: var(--on-alarm); font-weight: 600; }
dl.about { grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 8px 20px; margin: 14px 0; }
.about dt { font-size: 12px; } .about dd { font-family: inherit; font-size: 14px; }
.severities { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 10px; padding: 0; list-style: none; font-size: 14px; }
.severities strong { margin-right: 5px; font-variant-numeric: tabular-nums; }
.severity-critical strong, .severity-high strong { color: var(--allowed); } .severity-medium strong { color: var(--unknown); }
.word-allowed { color: var(--allowed); } .word-unknown { color: var(--unknown); } .word-prevented { color: var(--prevented); }
.allowed { fill: var(--allowed); } .unknown { fill: var(--unknown); } .prevented { fill: var(--prevented); opacity: .8; }
figure { margin: 12px 0; } figcaption { color: var(--faint); font-size: 13px; }
svg { display: block; width: 100%; height: auto; } .narrow { display: none; }
.grid { stroke: var(--line); stroke-width: 1; } .tick { fill: var(--faint); font-size: 11px; } .label { fill: var(--text); font-size: 11px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0; padding: 0; list-style: none; font-size: 13px; }
.legend svg { display: inline-block; width: 12px; height: 12px; margin-right: 6px; vertical-align: -1px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 36px; } .pair > * { min-width: 0; }
.scroll { overflow-x: auto; } .scroll table { overflow-wrap: break-word; } .scroll td { min-width: 64px; max-width: 340px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; } caption { text-align: left; color: var(--faint); font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } .number { text-align: right; font-variant-numeric: tabular-nums; }
article { border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; margin: 12px 0; break-inside: avoid; }
article.allowed-one { border-left: 4px solid var(--allowed); } article.unknown-one { border-left: 4px solid var(--unknown); }
article.prevented-one { border-left: 4px solid var(--prevented); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 8px 0 0; font-size: 13px; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 640px) { body { padding: 16px 14px 40px; } .wide { display: none; } .narrow { display: block; }
  .pair { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 5px; }
  dl.about { grid-template-columns: 1fr 1fr; gap: 6px 14px; }
  table, tbody, tr, td { display: block; } thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border: 1px solid var(--line); border-radius: 8px; padding: 6px 10px; margin: 8px 0; }
  td, .scroll td { border: 0; padding: 2px 0; min-width: 0; max-width: none; } td:empty { display: none; } .number { text-align: left; }
  td::before { content: attr(data-title) ": "; color: var(--faint); } }
@media print { :root { color-scheme: light; --ground: #fff; --soft: #fff; --text: #000; --faint: #333; --line: #999;
  --allowed: #9c1c15; --unknown: #6e4800; --prevented: #235a82; --link: #000; --alarm: #fff; --on-alarm: #9c1c15; }
  .banner { border: 1px solid var(--line); border-left-width: 4px; } .banner.bad { border: 2px solid #9c1c15; }
  body { max-width: none; padding: 0; font-size: 10pt; } table { font-size: 8.5pt; } dl { font-size: 8.5pt; }
  article { padding: 6px 10px; margin: 8px 0; } dl code, dd { font-size: 8.5pt; } .totals li { border: 1px solid var(--line); }
  .wide { display: block; } .narrow { display: none; } h2, h2 + p, h3, .legend { break-after: avoid; } figure, tr { break-inside: avoid; }
  .scroll { overflow: visible; } rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  @page { margin: 16mm 14mm; } }
`;
