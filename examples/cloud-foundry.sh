#!/bin/sh
# Cloud Foundry: registers the broker for all organizations and offers its services.
set -eu
: "${BROKER_URL:?e.g. https://broker.example.com}" "${BROKER_USERNAME:?}" "${BROKER_PASSWORD:?}"
cf create-service-broker kubedb "$BROKER_USERNAME" "$BROKER_PASSWORD" "$BROKER_URL"
for service in $(cf service-access -b kubedb | awk 'NF >= 3 && $1 != "offering" && $1 != "broker:" { print $1 }' | sort -u); do
  cf enable-service-access "$service" -b kubedb
done
cf marketplace
