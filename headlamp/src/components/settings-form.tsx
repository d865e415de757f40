// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The form of the plugin's settings.

import type { PluginSettingsDetailsProps } from "@kinvolk/headlamp-plugin/lib";
import { TextField } from "@mui/material";
import { DEFAULT_LEASE_NAMESPACE, type Settings } from "../cluster/settings.ts";

export function SettingsForm({ data, onDataChange }: PluginSettingsDetailsProps) {
  const settings = (data ?? {}) as Settings;
  return (
    <TextField
      label="Namespace of the operator"
      helperText="Its Lease there shows if the reports are current."
      placeholder={DEFAULT_LEASE_NAMESPACE}
      value={settings.leaseNamespace ?? ""}
      onChange={({ target }) => onDataChange?.({ ...settings, leaseNamespace: target.value.trim() })}
    />
  );
}
