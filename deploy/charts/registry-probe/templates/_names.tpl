{{- define "probe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* No longer than 42 characters: of the 63 that a pod's host name has, -sharded, the minute of a CronJob's Job and the index of
one of a thousand pods take 21. Dots, which a release may have, are not allowed in it; and before Kubernetes 1.36 a Service's name begins with a letter. */ -}}
{{- define "probe.fullname" -}}
{{- $name := include "probe.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- else -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- $name = $name | replace "." "-" | trimAll "-" -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "r-%s" $name }}{{ end -}}
{{- $name | trunc 42 | trimSuffix "-" -}}
{{- end -}}

{{- define "probe.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "probe.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "probe.configMap" -}}
{{- .Values.existingConfigMap | default (include "probe.fullname" .) -}}
{{- end -}}

{{- define "probe.hasOwnConfig" -}}
{{- if not (or .Values.existingConfigMap .Values.existingConfigSecret) }}true{{ end -}}
{{- end -}}

{{- define "probe.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- /* What the pods of this chart do: a service answers requests, the other ones do not. */ -}}
{{- define "probe.component" -}}
{{- if eq .Values.mode "service" }}service{{ else if gt (int .Values.shards) 1 }}shard{{ else }}sweep{{ end -}}
{{- end -}}

{{- define "probe.selector" -}}
{{- toYaml (dict "app.kubernetes.io/name" (include "probe.name" .) "app.kubernetes.io/instance" .Release.Name) -}}
{{- end -}}

{{- /* The labels of an object: takes the context, and further ones, which win. No key is there twice: kustomize, and with it Flux,
takes no such document. */ -}}
{{- define "probe.labels" -}}
{{- $ := first . -}}
{{- $own := dict
    "helm.sh/chart" (printf "%s-%s" $.Chart.Name ($.Chart.Version | replace "+" "_"))
    "app.kubernetes.io/version" $.Chart.AppVersion
    "app.kubernetes.io/managed-by" $.Release.Service -}}
{{- $selector := include "probe.selector" $ | fromYaml -}}
{{- toYaml (mergeOverwrite $own $selector ($.Values.commonLabels | default dict) (last . | default dict)) -}}
{{- end -}}

{{- /* A time such as 15m, 6h or 1h30m in minutes. */ -}}
{{- define "probe.minutes" -}}
{{- $hours := regexFind "^[0-9]+h" . | trimSuffix "h" | default "0" | int -}}
{{- $minutes := regexFind "[0-9]+m$" . | trimSuffix "m" | default "0" | int -}}
{{- add (mul $hours 60) $minutes -}}
{{- end -}}

{{- /* Minutes as Prometheus writes them. */ -}}
{{- define "probe.window" -}}
{{- if eq 0 (mod . 60) }}{{ div . 60 }}h{{ else }}{{ . }}m{{ end -}}
{{- end -}}

{{- define "probe.deadline" -}}
{{- .Values.deadline | default (printf "%dm" (div (mul 4 (include "probe.minutes" .Values.interval | int)) 5 | max 1)) -}}
{{- end -}}

{{- define "probe.schedule" -}}
{{- $minutes := include "probe.minutes" .Values.interval | int -}}
{{- if .Values.schedule -}}
{{- .Values.schedule -}}
{{- else if and (lt $minutes 60) (eq 0 (mod 60 $minutes)) -}}
*/{{ $minutes }} * * * *
{{- else if eq $minutes 60 -}}
0 * * * *
{{- else if and (eq 0 (mod $minutes 60)) (eq 0 (mod 1440 $minutes)) -}}
0 */{{ div $minutes 60 }} * * *
{{- else -}}
{{- fail (printf "interval %s does not divide an hour or a day: set schedule, too" .Values.interval) -}}
{{- end -}}
{{- end -}}

{{- define "probe.scheme" -}}
{{- if and .Values.webConfig.existingSecret .Values.webConfig.tls }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "probe.externalUrl" -}}
{{- if .Values.externalUrl -}}
{{- .Values.externalUrl -}}
{{- else if .Values.ingress.enabled -}}
https://{{ .Values.ingress.host }}
{{- end -}}
{{- end -}}
