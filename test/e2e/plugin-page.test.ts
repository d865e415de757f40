// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit page in a real browser: at desk and phone width, light and dark, and on paper; and what an accessibility
// checker says of it. `SCREENSHOTS=DIR` keeps what was seen. What runs in the page is given as text: this project has no
// types of a browser, and needs none elsewhere.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { report, runPlugin, violation } from "../../plugin/test/session.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { createFolder } from "../support/folder.ts";

const BROWSERS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
];
const executablePath = process.env["CHROMIUM"] ?? BROWSERS.find((path) => existsSync(path));
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const EVIL = `"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>&lt;'`;

/** Every section of the page has something in it, and all that alerts can choose is hostile or very long. */
const REPORTS: Report[] = [
  report(
    "hostile",
    [
      violation({
        id: "00000000000000e1",
        outcome: "Allowed",
        action: "Audit (Block)",
        source: EVIL,
        resource: `/${"very-long-path/".repeat(30)}`,
        workload: { kind: EVIL, name: EVIL },
        occurrences: 1200,
        latest: { time: "2026-11-23T09:59:00.000000Z", command: EVIL, data: "x".repeat(500), user: EVIL, uid: 0 },
      }),
      violation({ id: "00000000000000e2", outcome: "Unknown", accepted: { by: EVIL } }),
    ],
    {
      policy: {
        name: EVIL,
        message: EVIL,
        tags: [EVIL],
        provenance: "Found",
        objects: [{ kind: EVIL, uid: EVIL, generation: 1, source: { name: EVIL } }],
      },
      severity: "critical",
      coverage: { lowerBound: true, gaps: 1, recent: [{ kind: EVIL, from: "2026-11-22T10:00:00.000000Z", pod: EVIL }] },
    },
  ),
  ...Array.from({ length: 14 }, (_, n) =>
    report(
      `policy-${n}`,
      [
        violation({
          id: `00000000000000f${n}`,
          occurrences: 3 ** (n % 6),
          workload: { kind: "Deployment", name: `web-${n}` },
        }),
        violation({ id: `00000000000001f${n}`, outcome: n % 2 ? "Allowed" : "Unknown", action: "Audit" }),
      ],
      { namespace: n % 3 ? "shop" : undefined },
    ),
  ),
];

const VIEWS = [
  { name: "desk-light", width: 1280, height: 900, colorScheme: "light" },
  { name: "desk-dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "phone-light", width: 375, height: 800, colorScheme: "light" },
  { name: "phone-dark", width: 375, height: 800, colorScheme: "dark" },
] as const;

describe.skipIf(executablePath === undefined)(
  `the audit page in a browser (${executablePath ?? "skipped: no Chromium; install it or set CHROMIUM"})`,
  () => {
    let browser: Browser;
    let dir: string;
    const requests: string[] = [];

    beforeAll(async () => {
      dir = createFolder();
      const page = await runPlugin(["audit", "-A"], { reports: REPORTS });
      writeFileSync(join(dir, "hostile.html"), page.out);
      writeFileSync(join(dir, "samples.html"), (await runPlugin(["audit", "-A"])).out);
      writeFileSync(join(dir, "empty.html"), (await runPlugin(["audit", "-A"], { reports: [] })).out);
      browser = await chromium.launch({
        ...(executablePath === undefined ? {} : { executablePath }),
        args: ["--no-sandbox", "--disable-gpu"],
      });
    });

    afterAll(async () => {
      await browser?.close();
    });

    async function openPage(file: string, view: (typeof VIEWS)[number]): Promise<Page> {
      const { width, height, colorScheme } = view;
      // The checker is put into the page by the test; the page's own policy would not let it run.
      const context = await browser.newContext({ viewport: { width, height }, colorScheme, bypassCSP: true });
      const page = await context.newPage();
      page.on("request", (request) => requests.push(request.url()));
      await page.goto(pathToFileURL(join(dir, file)).href);
      return page;
    }

    async function keep(page: Page, name: string): Promise<void> {
      const folder = process.env["SCREENSHOTS"];
      if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    }

    describe.each(["samples.html", "hostile.html", "empty.html"])("%s", (file) => {
      test.each(VIEWS)("$name: nothing is wider than the screen, and the checker finds nothing", async (view) => {
        const page = await openPage(file, view);
        await keep(page, `${file}-${view.name}`);
        const overflow = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        expect(overflow).toBe(0);
        await page.evaluate(AXE);
        const found = (await page.evaluate("axe.run()")) as {
          violations: { id: string; nodes: { html: string }[] }[];
          passes: unknown[];
        };
        expect(found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
        expect(found.passes.length).toBeGreaterThan(15);
        await page.context().close();
      });

      test("prints: the wide chart, black on white, in pages", async () => {
        const page = await openPage(file, VIEWS[1]);
        await page.emulateMedia({ media: "print" });
        await keep(page, `${file}-print`);
        expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
        const pdf = await page.pdf({ format: "A4" });
        expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
        const folder = process.env["SCREENSHOTS"];
        if (folder !== undefined) writeFileSync(join(folder, `${file}.pdf`), pdf);
        await page.context().close();
      });
    });

    test("asks the network for nothing", () => {
      expect(requests.filter((url) => !url.startsWith("file://"))).toEqual([]);
      expect(requests.length).toBe(15);
    });

    test("runs nothing that an alert brought, even without the page's own policy", async () => {
      const page = await openPage("hostile.html", VIEWS[0]);
      expect(await page.title()).toBe("Policy violations, 2026-11-23 10:00:00 UTC");
      expect(await page.evaluate("document.querySelectorAll('script, img, iframe, object, [onerror]').length")).toBe(0);
      await page.context().close();
    });

    test("its policy forbids scripts and the network", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(pathToFileURL(join(dir, "samples.html")).href);
      const script =
        "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)";
      const ran = page.evaluate(`${script}; document.title`);
      expect(await ran).toMatch(/^Policy violations/);
      await context.close();
    });

    test("links lead to the violation that they name", async () => {
      const page = await openPage("hostile.html", VIEWS[0]);
      const hrefs = "[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))";
      const broken = await page.evaluate(`${hrefs}.filter((href) => !document.getElementById(href.slice(1)))`);
      expect((await page.evaluate<string[]>(hrefs)).length).toBeGreaterThan(1);
      expect(broken).toEqual([]);
      await page.context().close();
    });
  },
);
