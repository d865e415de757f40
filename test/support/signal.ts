// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

/** Never aborts. */
export const SIGNAL = new AbortController().signal;
