// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Draws a tree of calls as a flame graph: an SVG without scripts, where a call is as wide as the time that it took.

import { type CallNode, isWork } from "./profile.ts";

const WIDTH = 1200;
const ROW = 17;
/** A call narrower than this is left out, with all that it calls. */
const MIN_WIDTH = 1;
const CHARACTER = 6.2;

interface Box {
  readonly x: number;
  readonly depth: number;
  readonly width: number;
  readonly node: CallNode;
}

/** Gives the SVG of what is work. */
export function flameGraph(root: CallNode, title: string): string {
  const calls = root.children.filter(isWork);
  const totalUs = calls.reduce((sum, call) => sum + call.totalUs, 0);
  const boxes = layOut(calls, WIDTH / totalUs);
  const depth = Math.max(0, ...boxes.map((box) => box.depth));
  const height = (depth + 3) * ROW;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="10">`,
    `<title>${escaped(title)}</title>`,
    `<text x="4" y="13">${escaped(title)}</text>`,
    ...boxes.map((box) => draw(box, height, totalUs)),
    "</svg>\n",
  ].join("\n");
}

function layOut(calls: readonly CallNode[], scale: number): Box[] {
  const boxes: Box[] = [];
  const visit = (nodes: readonly CallNode[], from: number, depth: number): void => {
    let x = from;
    for (const node of merged(nodes)) {
      const width = node.totalUs * scale;
      if (width >= MIN_WIDTH) {
        boxes.push({ x, depth, width, node });
        visit(node.children, x, depth + 1);
      }
      x += width;
    }
  };
  visit(calls, 0, 0);
  return boxes;
}

/** Calls of the same function from the same caller are one, the widest first. */
function merged(nodes: readonly CallNode[]): CallNode[] {
  const byFunction = new Map<string, CallNode>();
  for (const node of nodes) {
    const key = `${node.name} ${node.place}`;
    const same = byFunction.get(key);
    byFunction.set(
      key,
      same === undefined
        ? node
        : {
            ...same,
            selfUs: same.selfUs + node.selfUs,
            totalUs: same.totalUs + node.totalUs,
            children: [...same.children, ...node.children],
          },
    );
  }
  return [...byFunction.values()].sort((a, b) => b.totalUs - a.totalUs);
}

function draw({ x, depth, width, node }: Box, height: number, totalUs: number): string {
  const y = height - (depth + 1) * ROW;
  const share = ((100 * node.totalUs) / totalUs).toFixed(1);
  const label = node.name.slice(0, Math.max(0, Math.floor((width - 4) / CHARACTER)));
  const text =
    label.length < 3 ? "" : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escaped(label)}</text>`;
  return (
    `<g><title>${escaped(`${node.name} ${node.place} ${share} %`)}</title>` +
    `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colour(node)}"/>` +
    `${text}</g>`
  );
}

/** Our own code, packages, and what Node brings. */
function colour({ place }: CallNode): string {
  if (/^(?:src|bench)\//.test(place)) return "#f4a261";
  return place === "" || place.startsWith("node:") ? "#cfd8dc" : "#a8d5a2";
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
