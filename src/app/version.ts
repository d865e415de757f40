// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program's version and home, from the package: one place to change them.

import manifest from "../../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
export const HOMEPAGE: string = manifest.homepage;
