{{- define "osb.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* JSON: who reaches the functions, as a NetworkPolicy has it. */ -}}
{{- define "osb.sources" -}}
{{- $namespaces := .Values.networkPolicy.from -}}
{{- with .Values.gateway.local.namespace -}}
{{- $namespaces = append $namespaces . | uniq -}}
{{- end -}}
{{- $sources := list -}}
{{- range $namespaces -}}
{{- $sources = append $sources (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) -}}
{{- end -}}
{{- toJson $sources -}}
{{- end -}}
