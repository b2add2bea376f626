#!/usr/bin/env bash
# Brings up Knative Serving on a cluster of one node on this machine, which has no registry of images: its programs are
# built from Go modules, once, and kept in the user's cache; its manifests are those of the same modules.
#
# Usage: e2e/knative/up.sh FOLDER [KOURIER]
#   FOLDER   has env.sh, up.sh (which has run), gateway.sh (Contour and Envoy on the node), load-image.sh, glibc-layer.sh
#   KOURIER  the program of net-kourier, which is no module of the Go proxy: then Kourier is Knative's gateway, with its
#            own Envoy. Without it e2e/knative/ingress.ts leads Contour and its Envoy in its place, as long as it runs:
#              node e2e/knative/ingress.ts contour.e2e.kubedb-service-broker projectcontour/gateway 10.200.0.1
# Prints last: CONNECT=ADDRESS:PORT of Knative's gateway, where `npm run e2e -- --connect` sends requests.
set -euo pipefail
folder=$1 kourier=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
. "$folder/env.sh"
say() { echo "[$(date +%T)] $*"; }

# --- programs -------------------------------------------------------------------------------------------------------
parts="controller webhook activator autoscaler queue"
key=$(cat "$here/serving/go.mod" "$here/serving/go.sum" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubedb-service-broker/knative-$key
if [ ! -d "$cache" ]; then
  say "building Knative Serving: some minutes, only once"
  rm -rf "$cache.part"
  mkdir -p "$cache.part"
  (cd "$here/serving" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$cache.part/" \
    $(for part in $parts; do echo "knative.dev/serving/cmd/$part"; done))
  mv "$cache.part" "$cache"
fi
module() { (cd "$here/serving" && go mod download "$1" && go list -m -f '{{.Dir}}' "$1"); }
serving=$(module knative.dev/serving)
networking=$(module knative.dev/networking)
caching=$(module knative.dev/caching)

image() { # NAME load-image-arguments...: unless the node has it
  rctr images ls -q | grep -xF "$1" > /dev/null || "$folder/load-image.sh" "$@"
}
for part in $parts; do
  image "dev.local/knative/$part:$key" --entrypoint "/$part" --layer "$cache/$part=/$part"
done

# --- manifests ------------------------------------------------------------------------------------------------------
# Images of ours for those that `ko` would build; the node has too few cores for what they ask for.
manifests() {
  for file in "$@"; do echo ---; cat "$file"; done | sed -E \
    -e "s#ko://knative.dev/serving/cmd/([a-z]+)#dev.local/knative/\1:$key#" \
    -e '/^ +requests:/,/^ +limits:/ s/cpu: .*/cpu: 10m/' \
    -e 's/initialDelaySeconds: .*/initialDelaySeconds: 1/'
}
put() { kubectl apply --server-side --force-conflicts -f - > /dev/null; }
settings() { # CONFIGMAP JSON
  kubectl patch configmap "$1" -n knative-serving --type merge -p "{\"data\":$2}" > /dev/null
}
core=$serving/config/core
manifests "$core/100-namespace.yaml" "$networking"/config/*.yaml "$caching"/config/*.yaml "$core"/300-resources/*.yaml | put
kubectl wait --for=condition=Established crd -l app.kubernetes.io/name=knative-serving --timeout=60s > /dev/null
manifests "$core"/200-*.yaml "$core"/200-roles/*.yaml "$core"/300-*.yaml "$core"/999-*.yaml "$core"/configmaps/*.yaml \
  "$core"/deployments/{controller,webhook,activator,autoscaler}.yaml | put
settings config-domain '{"knative.example.com":""}'
# What is quiet for ten seconds goes: a test does not wait for minutes.
settings config-autoscaler '{"stable-window":"10s","scale-to-zero-grace-period":"5s"}'
class=kourier.ingress.networking.knative.dev
[ -n "$kourier" ] || class=contour.e2e.kubedb-service-broker
settings config-network "{\"ingress-class\":\"$class\"}"
manifests "$core"/webhooks/*.yaml | put

# --- Knative's gateway ----------------------------------------------------------------------------------------------
if [ -n "$kourier" ]; then
  sum=$(sha256sum "$kourier" | cut -c1-16)
  image "dev.local/knative/kourier:$sum" --entrypoint /kourier --layer "$kourier=/kourier"
  "$folder/build.sh" gateway
  image dev.local/knative/envoy:1 --entrypoint /usr/local/bin/envoy --layer "$BIN/envoy=/usr/local/bin/envoy" \
    --layer "$("$folder/glibc-layer.sh" "$BIN/envoy")"
  manifests "$serving/third_party/kourier-latest/kourier.yaml" | sed -E \
    -e "s#image: .*/net-kourier/cmd/kourier.*#image: dev.local/knative/kourier:$sum#" \
    -e 's#image: .*/envoyproxy/envoy:.*#image: dev.local/knative/envoy:1#' | put
  kubectl wait --for=condition=Available deployments --all -n kourier-system --timeout=180s
else
  "$folder/gateway.sh"
  # A listener for the inside of the cluster, which callers outside do not reach; Envoy opens 8081 for it.
  kubectl patch gateway gateway -n projectcontour --type merge -p '{"spec": {"listeners": [
    {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}},
    {"name": "local", "protocol": "HTTP", "port": 81, "allowedRoutes": {"namespaces": {"from": "All"}}}]}}' > /dev/null
  # The Services of Kourier, which the product's manifests name, lead to Contour's Envoy.
  for service in kourier:8080 kourier-internal:8081; do
    name=${service%:*}
    cat << Y
---
{apiVersion: v1, kind: Service, metadata: {name: $name, namespace: kourier-system}, spec: {ports: [{name: http2, port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: $name, namespace: kourier-system, labels: {kubernetes.io/service-name: $name}},
 addressType: IPv4, ports: [{name: http2, port: ${service#*:}}], endpoints: [{addresses: ["$NODE_IP"], conditions: {ready: true}}]}
Y
  done | { echo '{apiVersion: v1, kind: Namespace, metadata: {name: kourier-system}}'; cat; } | put
fi
kubectl wait --for=condition=Available deployments --all -n knative-serving --timeout=180s
say "Knative Serving $(cd "$here/serving" && go list -m -f '{{.Version}}' knative.dev/serving) is up"
if [ -n "$kourier" ]; then
  echo "CONNECT=127.0.0.1:$(kubectl get service kourier -n kourier-system -o 'jsonpath={.spec.ports[0].nodePort}')"
else
  echo "CONNECT=$NODE_IP:8080"
fi
