#!/bin/sh
# No platform: provisions a PostgreSQL instance, binds to it, prints its URI, and removes both on Ctrl-D.
set -eu
: "${BROKER_URL:?e.g. https://broker.example.com}" "${BROKER_USERNAME:?}" "${BROKER_PASSWORD:?}"
osb() {
  method=$1 path=$2
  shift 2
  curl -sS -u "$BROKER_USERNAME:$BROKER_PASSWORD" -H 'X-Broker-API-Version: 2.17' -H 'Content-Type: application/json' \
    -X "$method" "$BROKER_URL/v2/$path" "$@"
}
service=2010d83f-d908-4d9f-879c-ce8f5f527f2a plan=252027a9-3bde-4afa-a251-4457ef08594e
ids="service_id=$service&plan_id=$plan&accepts_incomplete=true"
instance=service_instances/$(cat /proc/sys/kernel/random/uuid)
settle() {
  while answer=$(osb GET "$instance/last_operation") && echo "$answer" && echo "$answer" | grep -q 'in progress'; do sleep 5; done
}
osb PUT "$instance?accepts_incomplete=true" \
  -d "{\"service_id\":\"$service\",\"plan_id\":\"$plan\",\"organization_guid\":\"me\",\"space_guid\":\"here\"}"
settle
osb PUT "$instance/service_bindings/me" -d "{\"service_id\":\"$service\",\"plan_id\":\"$plan\"}" |
  sed 's/.*"uri":"\([^"]*\)".*/\1\n/'
cat > /dev/null
osb DELETE "$instance/service_bindings/me?$ids"
osb DELETE "$instance?$ids"
settle
