{{/* relay, nodes or auto: docs/configuration.md. */}}
{{- define "pvo.feedMode" -}}
{{- dig "feed" "mode" "relay" .Values.config -}}
{{- end -}}

{{- define "pvo.relayTlsMode" -}}
{{- dig "feed" "relay" "tls" "mode" "auto" .Values.config -}}
{{- end -}}

{{/* As the operator finds it: the namespace of the relay's Service, where its address is that of one. */}}
{{- define "pvo.relayTlsSecretNamespace" -}}
{{- $relay := include "pvo.relay" . | fromJson -}}
{{- dig "feed" "relay" "tls" "secret" "namespace" "" .Values.config | default ($relay.namespace | default "kubearmor") -}}
{{- end -}}

{{- define "pvo.relayTlsSecretName" -}}
{{- dig "feed" "relay" "tls" "secret" "name" "kubearmor-client-certs" .Values.config -}}
{{- end -}}
