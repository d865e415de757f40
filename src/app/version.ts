// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program's version, from the package: one place to change it.

import manifest from "../../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
