{{/* Refuses combinations of values that cannot work. */}}
{{- define "pvo.check" -}}
{{- $elects := dig "leaderElection" "enabled" true .Values.config -}}
{{- if and (gt (int .Values.replicas) 1) (not $elects) -}}
{{- fail "replicas must be 1 when config.leaderElection.enabled is false: two that write would count twice" -}}
{{- end -}}
{{- if and .Values.scale.enabled (not $elects) -}}
{{- fail "config.leaderElection.enabled must be true when scale.enabled is true: shards and partitions are held by Leases" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (hasKey .Values.journal.volume "persistentVolumeClaim") -}}
{{- fail "replicas must be 1 when journal.volume is a persistentVolumeClaim: a journal belongs to one replica" -}}
{{- end -}}
{{- end -}}
